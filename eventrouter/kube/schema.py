"""Event of core/v1, by its types: what parses into it is packed without a look at each value. Pure.

The fields are those of k8s.io/api core/v1 Event and apimachinery meta/v1 ObjectMeta, in their
order. An object with any other field, or another type in one of them, is an OddEvent: it is shipped
all the same, at several times the cost.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, convert, defstruct
from msgspec.structs import fields

# What Fluent Bit takes in a document id: no control characters, quotes or backslashes
# (plugins/out_opensearch), and Elasticsearch at most 512 bytes.
_is_uid = re.compile(r"[0-9A-Za-z._:-]{1,400}").fullmatch
# Far longer than any resourceVersion, and short enough for int().
_MAX_VERSION_DIGITS = 100

Text = str | UnsetType
Time = str | None | UnsetType
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | UnsetType
Texts = dict[str, str] | UnsetType


class _Part(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """Fields that are UNSET were not there, and are not packed. Nothing here can refer to itself,
    so the garbage collector need not know of it."""


class Write(Struct, gc=False):
    """An entry of managedFields; its time is all that is wanted of it."""

    time: Time = UNSET


class OwnerReference(_Part):
    """meta/v1 OwnerReference."""

    api_version: Text = UNSET
    kind: Text = UNSET
    name: Text = UNSET
    uid: Text = UNSET
    controller: bool | UnsetType = UNSET
    block_owner_deletion: bool | UnsetType = UNSET


class ObjectMeta(_Part, kw_only=True):
    """meta/v1 ObjectMeta, with a uid and a resourceVersion that make a document id."""

    name: Text = UNSET
    generate_name: Text = UNSET
    namespace: Text = UNSET
    self_link: Text = UNSET
    uid: str
    resource_version: str
    generation: Number = UNSET
    creation_timestamp: Time = UNSET
    deletion_timestamp: Time = UNSET
    deletion_grace_period_seconds: Number = UNSET
    labels: Texts = UNSET
    annotations: Texts = UNSET
    owner_references: list[OwnerReference] | UnsetType = UNSET
    finalizers: list[str] | UnsetType = UNSET
    managed_fields: list[Write] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not (is_version(self.resource_version) and _is_uid(self.uid)):
            raise ValueError("no uid and resourceVersion that make a document id")


class ObjectReference(_Part):
    """core/v1 ObjectReference."""

    kind: Text = UNSET
    namespace: Text = UNSET
    name: Text = UNSET
    uid: Text = UNSET
    api_version: Text = UNSET
    resource_version: Text = UNSET
    field_path: Text = UNSET


class EventSource(_Part):
    """core/v1 EventSource."""

    component: Text = UNSET
    host: Text = UNSET


class EventSeries(_Part):
    """core/v1 EventSeries."""

    count: Number = UNSET
    last_observed_time: Time = UNSET


class Event(_Part, kw_only=True):
    """core/v1 Event."""

    kind: Text = UNSET
    api_version: Text = UNSET
    metadata: ObjectMeta
    involved_object: ObjectReference | UnsetType = UNSET
    reason: Text = UNSET
    message: Text = UNSET
    source: EventSource | UnsetType = UNSET
    first_timestamp: Time = UNSET
    last_timestamp: Time = UNSET
    count: Number = UNSET
    type: Text = UNSET
    event_time: Time = UNSET
    series: EventSeries | UnsetType = UNSET
    action: Text = UNSET
    related: ObjectReference | UnsetType = UNSET
    reporting_component: Text = UNSET
    reporting_instance: Text = UNSET


class _OddMeta(ObjectMeta, kw_only=True):
    def __post_init__(self) -> None:
        self.uid = self.uid if _is_uid(self.uid) else ""
        self.resource_version = self.resource_version if is_version(self.resource_version) else ""


class OddEvent(Event, kw_only=True):
    """An object that is no Event by its types. `whole` is the object; the fields hold what of it
    can be believed, and a uid or resourceVersion that cannot is "".
    """

    whole: dict[str, Any]


def odd_event(whole: dict[str, Any]) -> OddEvent:
    """Any object at all, with what can be believed of it."""
    known = _known(whole, Event)
    if "metadata" not in known:
        known["metadata"] = _odd_meta(whole.get("metadata"))
    series = _known(whole.get("series"), EventSeries)
    known["series"] = EventSeries(**series) if series else UNSET
    return OddEvent(whole=whole, **known)


def _odd_meta(whole: object) -> ObjectMeta:
    known = {"uid": "", "resource_version": ""} | _known(whole, ObjectMeta)
    if "managed_fields" not in known and isinstance(whole, dict):
        writes = whole.get("managedFields")
        if isinstance(writes, list):
            known["managed_fields"] = [Write(**_known(write, Write)) for write in writes]
    return _OddMeta(**known)


def is_version(text: str) -> bool:
    """Whether a resourceVersion is the decimal number that it has to be (KEP-5504)."""
    return text.isdecimal() and text.isascii() and len(text) <= _MAX_VERSION_DIGITS


def _known(value: object, struct: type[Struct]) -> dict[str, Any]:
    """The fields that are of the type they have to be."""
    known: dict[str, Any] = {}
    if not isinstance(value, dict):
        return known
    for name, key, holder in _holders(struct):
        if key in value:
            with suppress(ValueError):  # also of a text that UTF-8 cannot say
                known[name] = convert({"value": value[key]}, holder).value
    return known


@cache
def _holders(struct: type[Struct]) -> list[tuple[str, str, Any]]:
    """Of each field its name, its key in JSON, and a struct of its type alone: only a struct's
    types are looked through once and not at each conversion."""
    return [
        (field.name, field.encode_name, defstruct("Holder", [("value", field.type)]))
        for field in fields(struct)
    ]
