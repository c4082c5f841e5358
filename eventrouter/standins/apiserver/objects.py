"""Complete and change Event objects as the API server does before it stores them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

Event = dict[str, Any]

# The fields of core/v1 Event, in the order of k8s.io/api/core/v1/types.go.
_METADATA = (
    *("name", "generateName", "namespace", "uid", "resourceVersion", "generation"),
    *("creationTimestamp", "deletionTimestamp", "labels", "annotations", "managedFields"),
)
_FIELDS = (
    *("involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count"),
    *("type", "eventTime", "series", "action", "related"),
    *("reportingComponent", "reportingInstance"),
)
# The fields without omitempty: the API server writes them even if they are empty.
ALWAYS: Event = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}

# A field manager is the program's name in its User-Agent. Most event sources are loops of one
# program.
_MANAGERS = {"kubelet": "kubelet", "default-scheduler": "kube-scheduler"}
_OTHER_MANAGER = "kube-controller-manager"
# The names of the fields in events.k8s.io/v1, for events that were written through that group.
_NEW_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_RESOURCE_VERSION = re.compile(rb'"resourceVersion":"[^"]*"')


def seconds(time: datetime) -> str:
    """The text of a metav1.Time, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def microseconds(time: datetime) -> str:
    """The text of a metav1.MicroTime, always with six digits of a second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def complete(event: Mapping[str, Any], *, at: datetime, uid: str) -> Event:
    """A new event with defaults filled in and unknown fields removed. It has no version yet."""
    filled = {**ALWAYS, **event}
    stored = {field: filled[field] for field in _FIELDS if field in filled}
    metadata = {
        "namespace": "default",
        "uid": uid,
        "resourceVersion": "",
        "creationTimestamp": seconds(at),
        **event["metadata"],
    }
    metadata.setdefault("managedFields", managed_fields(stored, metadata["creationTimestamp"]))
    return {"metadata": {name: metadata[name] for name in _METADATA if name in metadata}, **stored}


def touch(event: Event, *, at: datetime) -> None:
    """Write the time of another write into managedFields."""
    metadata = event.setdefault("metadata", {})
    metadata["managedFields"] = managed_fields(event, seconds(at))


def managed_fields(event: Event, time: str) -> list[Event]:
    """Who wrote which fields: about a quarter of the bytes of a stored event.

    A series has a key ".", which Elasticsearch refuses (kubernetes#140957).
    """
    new_group = event.get("eventTime") is not None
    component = event.get("reportingComponent") or (event.get("source") or {}).get("component")
    fields: Event = {}
    for name, value in event.items():
        if name != "metadata" and value is not None and value != {}:
            fields[f"f:{_NEW_NAMES.get(name, name) if new_group else name}"] = _owned(name, value)
    return [
        {
            "manager": _MANAGERS.get(str(component), _OTHER_MANAGER),
            "operation": "Update",
            "apiVersion": "events.k8s.io/v1" if new_group else "v1",
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": dict(sorted(fields.items())),
        }
    ]


def _owned(name: str, value: Any) -> Event:
    if name == "series":
        return {".": {}} | {f"f:{inner}": {} for inner in value}
    if name == "source":
        return {f"f:{inner}": {} for inner in value}
    return {}  # a leaf; an ObjectReference is one too (+structType=atomic)


def merge(target: Event, patch: Mapping[str, Any]) -> None:
    """Apply a merge patch (RFC 7386). For Events, a strategic merge patch does the same."""
    for key, value in patch.items():
        if value is None and key not in ALWAYS:
            target.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def with_version(item: bytes, revision: int) -> bytes:
    """The object with another resourceVersion. Metadata comes first, so the first one is it."""
    return _RESOURCE_VERSION.sub(b'"resourceVersion":"%d"' % revision, item, count=1)
