"""Field selectors of Events."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from eventrouter.standins.apiserver.encoding import decode
from eventrouter.standins.apiserver.status import Refusal

# The labels that a selector of core/v1 Events may name (pkg/apis/core/v1/conversion.go,
# AddFieldLabelConversionsForEvent).
_LABELS = {
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
    "metadata.name",
    "metadata.namespace",
}
_TERM = re.compile(r"(?P<label>[^=!]*)(?P<operator>!=|==|=)(?P<value>(?:[^\\,=]|\\[\\,=])*)")
_SEPARATOR = re.compile(r"(?<!\\),")


class Requirement(NamedTuple):
    label: str
    equal: bool
    value: str


class FieldSelector:
    """Terms like `label=value`, `==` and `!=`, joined by commas. An event must match all."""

    def __init__(self, text: str) -> None:
        """Raises Refusal for a selector that the API server refuses, with its message."""
        self.requirements = [_requirement(term) for term in _SEPARATOR.split(text) if term]

    def matches(self, item: bytes) -> bool:
        """Whether the event in this JSON is selected."""
        event: dict[str, Any] = decode(item)
        return all(
            (_value(event, requirement.label) == requirement.value) is requirement.equal
            for requirement in self.requirements
        )


def _requirement(term: str) -> Requirement:
    parts = _TERM.fullmatch(term)
    if parts is None:
        raise Refusal.bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    label = parts["label"].strip()
    if label not in _LABELS:
        raise Refusal.bad_request(f"field label not supported: {label}")
    value = re.sub(r"\\([\\,=])", r"\1", parts["value"])
    return Requirement(label, parts["operator"] != "!=", value)


def _value(event: dict[str, Any], label: str) -> str:
    if label == "source":
        # The old field, or the new one if that is empty (pkg/registry/core/event/strategy.go).
        component = (event.get("source") or {}).get("component")
        return str(component or event.get("reportingComponent") or "")
    value: Any = event
    for name in label.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return str(value or "")
