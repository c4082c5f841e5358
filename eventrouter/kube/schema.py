"""The types of core/v1 Event: what fits them is packed without a look at each value. Pure.

The fields are those of k8s.io/api core/v1 Event and apimachinery meta/v1 ObjectMeta, in their
order. An object with any other field, or with another type in one of them, becomes an UntypedEvent:
the watcher ships it too, at several times the cost.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, convert, defstruct, msgpack
from msgspec.structs import fields

# No event is larger in JSON. etcd takes 1.5 MiB, and a character of one byte there may take six in
# JSON: the API server writes "<" as "\u003c".
MAX_EVENT_BYTES = 16 * 1024 * 1024

# What Fluent Bit takes in a document id: no control characters, quotes or backslashes
# (plugins/out_opensearch), and Elasticsearch at most 512 bytes.
_is_uid = re.compile(r"[0-9A-Za-z._:-]{1,400}").fullmatch
# Longer than any resourceVersion, and short enough for int().
_MAX_VERSION_DIGITS = 100

Text = str | UnsetType
Time = str | None | UnsetType
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | UnsetType
Texts = dict[str, str] | UnsetType


class _Part(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A field that was missing is UNSET, and is left out again when the struct is packed.

    `gc=False`: no struct can refer to itself, so the garbage collector need not track any.
    """


class ManagedFieldsEntry(Struct, gc=False):
    """meta/v1 ManagedFieldsEntry, of which only the time is read."""

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
    """meta/v1 ObjectMeta. Its uid and resourceVersion are fit to make a document id."""

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
    managed_fields: list[ManagedFieldsEntry] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not (is_resource_version(self.resource_version) and _is_uid(self.uid)):
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


class _UntypedMeta(ObjectMeta, kw_only=True):
    def __post_init__(self) -> None:
        self.uid = self.uid if _is_uid(self.uid) else ""
        if not is_resource_version(self.resource_version):
            self.resource_version = ""


class UntypedEvent(Event, kw_only=True):
    """An object that does not fit the types of an Event.

    `raw` is the whole object. The fields hold those values that have the right type; a uid or
    resourceVersion that cannot be used is "".
    """

    raw: dict[str, Any]


def untyped_event(raw: dict[str, Any]) -> UntypedEvent:
    """Make an UntypedEvent of any object at all."""
    known = _known(raw, Event)
    if "metadata" not in known:
        known["metadata"] = _untyped_meta(raw.get("metadata"))
    series = _known(raw.get("series"), EventSeries)
    known["series"] = EventSeries(**series) if series else UNSET
    return UntypedEvent(raw=raw, **known)


def _untyped_meta(raw: object) -> ObjectMeta:
    known = {"uid": "", "resource_version": ""} | _known(raw, ObjectMeta)
    if "managed_fields" not in known and isinstance(raw, dict):
        entries = raw.get("managedFields")
        if isinstance(entries, list):
            known["managed_fields"] = [
                ManagedFieldsEntry(**_known(entry, ManagedFieldsEntry)) for entry in entries
            ]
    return _UntypedMeta(**known)


def is_resource_version(text: str) -> bool:
    """Whether the text is a decimal number, as every resourceVersion is (KEP-5504)."""
    return text.isdecimal() and text.isascii() and len(text) <= _MAX_VERSION_DIGITS


def _known(value: object, struct: type[Struct]) -> dict[str, Any]:
    """Those fields of the struct that are there and have the right type."""
    known: dict[str, Any] = {}
    if not isinstance(value, dict):
        return known
    for name, key, holder in _holders(struct):
        if key in value:
            with suppress(ValueError):  # also raised for text that UTF-8 cannot encode
                found = convert({"value": value[key]}, holder).value
                msgpack.encode(found)
                known[name] = found
    return known


@cache
def _holders(struct: type[Struct]) -> list[tuple[str, str, Any]]:
    """For each field its name, its key in JSON, and a struct with this field alone.

    msgspec analyzes a struct's types once; a bare type it would analyze at each conversion.
    """
    return [
        (field.name, field.encode_name, defstruct("Holder", [("value", field.type)]))
        for field in fields(struct)
    ]
