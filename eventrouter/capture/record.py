"""From an Event object, as the API gives it, to the record that is shipped. Pure.

The record is `{"verb", "event", "old_event", "id", "cluster", "object"}` (docs/record.md). Each
state is packed once: the same bytes go into its record, into the cache of old states, and from
there into the event's next record.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from eventrouter.capture.truncation import KEPT_CHARACTERS, is_deep, make_plain, shorten
from eventrouter.forward import protocol
from eventrouter.kube.schema import Event, ObjectMeta, Time, UntypedEvent

TAG_SUFFIXES = ("normal", "warning", "other")

# Well under the 8 MB of Fluent Bit's buffer_max_size (fluent/pipeline.yaml). An object in etcd is
# at most 1.5 MiB, so a record with its old state stays whole.
MAX_RECORD_BYTES = 4 * 1024 * 1024

_TAG_SUFFIX_OF_TYPE = {"Normal": "normal", "Warning": "warning"}
_MAX_TIME_CHARACTERS = 40
_DAY = 24 * 3600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The seconds of an EventTime are 32 bits, of which Fluent Bit keeps the last two values for itself.
_MAX_SECONDS = 0xFFFFFFFD
_LARGE_BYTES = 256 * 1024


class Record(Struct, frozen=True, gc=False):
    """One state of an event, ready to send.

    `tag_suffix` is one of TAG_SUFFIXES and ends the tag; `entry` is the packed `[time, record]`;
    `uid` and `state` (the packed event) are for the cache of old states; `resource_version` is
    empty if the event has none; `truncated` says why the record is not whole: "size", "depth" or
    "encoding", else None.
    """

    tag_suffix: str
    entry: bytes
    uid: str
    resource_version: str
    state: bytes
    truncated: str | None


class _Content(Struct, gc=False):
    """The record itself (docs/architecture.md); states are packed already."""

    verb: str
    event: Raw
    old_event: Raw | UnsetType
    id: str
    cluster: str | UnsetType
    object: object
    truncated: str | UnsetType


class Shaper:
    """Makes records, with the cluster's name in them if it has one. Use one in each thread.

    `details` is what the next record says of the event's object: UNSET, or a struct.
    """

    def __init__(self, *, cluster: str | None = None) -> None:
        self._encode_into = msgspec.msgpack.Encoder().encode_into
        self._buffer = bytearray()
        self._cluster = UNSET if cluster is None else cluster
        self.details: object = UNSET

    def shape(self, event: Event, verb: str, old_state: bytes | None) -> Record:
        """Make the record of one state. Never raises, whatever the object looks like.

        The event is used up: it loses its managedFields, kind and apiVersion, which no record has.
        A state that cannot be sent whole is cut and says so in `truncated`.
        """
        nanoseconds = event_time(event)
        metadata = event.metadata
        uid, version = metadata.uid, metadata.resource_version
        body: object = event
        truncated = None
        if isinstance(event, UntypedEvent):
            body, truncated = _plain(event.raw)
        else:
            event.kind = event.api_version = metadata.managed_fields = UNSET
        try:
            state = self._pack(body)
        except (ValueError, OverflowError):  # of an UntypedEvent: half a surrogate pair, 65 bits
            body, truncated = make_plain(body), "encoding"
            state = self._pack(body)
        record_id = document_id(uid, version, state)
        entry = self._entry(nanoseconds, verb, state, old_state, record_id, truncated)
        if len(entry) > _LARGE_BYTES:
            self._buffer = bytearray()  # else it would keep the size of the largest record ever
        if len(entry) > MAX_RECORD_BYTES:
            truncated = "size"
            entry = self._entry(nanoseconds, verb, state, None, record_id, truncated)
            for characters in KEPT_CHARACTERS:
                if len(entry) <= MAX_RECORD_BYTES:
                    break
                state = self._pack(shorten(msgspec.to_builtins(body), characters))
                entry = self._entry(nanoseconds, verb, state, None, record_id, truncated)
        tag_suffix = _TAG_SUFFIX_OF_TYPE.get(event.type or "", "other")
        return Record(tag_suffix, entry, uid, version, state, truncated)

    def _pack(self, value: object) -> bytes:
        """The value in msgpack, in no more memory than it takes.

        `encode` gives the buffer that it wrote to, with room to spare: in the cache of old states
        that room would take a fifth more.
        """
        self._encode_into(value, self._buffer)
        return bytes(self._buffer)

    def _entry(
        self,
        nanoseconds: int,
        verb: str,
        state: bytes,
        old_state: bytes | None,
        record_id: str,
        truncated: str | None,
    ) -> bytes:
        content = _Content(
            verb,
            Raw(state),
            UNSET if old_state is None else Raw(old_state),
            record_id,
            self._cluster,
            self.details,
            truncated or UNSET,
        )
        return protocol.entry_head(nanoseconds) + self._pack(content)


def _plain(raw: dict[str, Any]) -> tuple[Any, str | None]:
    """What of an untyped event is to be packed, and why it had to be cut if it had to be."""
    for name in ("kind", "apiVersion"):
        raw.pop(name, None)
    if isinstance(metadata := raw.get("metadata"), dict):
        metadata.pop("managedFields", None)
    return (make_plain(raw), "depth") if is_deep(raw) else (raw, None)


def document_id(uid: str, version: str, state: bytes) -> str:
    """`<uid>-<resourceVersion>`: the same for the same state, however often it is sent.

    A hash of the state if the server gave no uid and resourceVersion that Elasticsearch takes.
    """
    return f"{uid}-{version}" if uid and version else "sha256-" + hashlib.sha256(state).hexdigest()


def event_time(event: Event) -> int:
    """When the state came about, in nanoseconds since 1970, by the event's own times.

    The first believable of series.lastObservedTime, lastTimestamp, eventTime, firstTimestamp, else
    creationTimestamp, else 0. Clients write the first four, and the time chooses the index: so one
    more than a day before the creation is not believed, nor one more than a day after the last
    write that the API server dated (the newest managedFields time, or the creation). The result
    depends on the state alone, so that a state sent again lands in the same index.
    """
    created = _nanoseconds(event.metadata.creation_timestamp)
    series = event.series
    for text in (
        series.last_observed_time if series else UNSET,
        event.last_timestamp,
        event.event_time,
        event.first_timestamp,
    ):
        claimed = _nanoseconds(text)
        if claimed is None:
            continue
        if created is None:
            return claimed
        if created - _DAY <= claimed and (
            claimed <= created + _DAY or claimed <= _newest(event.metadata) + _DAY
        ):
            return claimed
    return created or 0


def _newest(metadata: ObjectMeta) -> int:
    times = (_nanoseconds(entry.time) for entry in metadata.managed_fields or ())
    return max((time for time in times if time is not None), default=0)


def _nanoseconds(text: Time) -> int | None:
    """An RFC 3339 time in nanoseconds since 1970. None for any other text, or out of range."""
    # The cache keeps its keys: no long texts in it.
    return _parsed(text) if text and len(text) <= _MAX_TIME_CHARACTERS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> int | None:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without an offset
        return None
    microseconds = since // timedelta(microseconds=1)
    return microseconds * 1000 if 0 <= microseconds <= _MAX_SECONDS * 1_000_000 else None
