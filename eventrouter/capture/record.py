"""From an Event object, as the API gives it, to the record that is shipped. Pure.

The record is `{"verb", "event", "old_event", "id", "cluster"}` (docs/architecture.md). Event
bodies are packed once: the same bytes go into the record, into the cache of old states, and
from there into the next record of that event.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from eventrouter.capture.truncation import KEPT_CHARACTERS, is_deep, make_plain, shorten
from eventrouter.forward import protocol
from eventrouter.kube.schema import Event, ObjectMeta, OddEvent, Time

KINDS = ("normal", "warning", "other")

# Well under the 8 MB of Fluent Bit's buffer_max_size (fluent/pipeline.yaml). An object in etcd is
# at most 1.5 MiB, so a record with its old state stays whole.
MAX_RECORD_BYTES = 4 * 1024 * 1024

_KIND_OF_TYPE = {"Normal": "normal", "Warning": "warning"}
_MAX_TIME_CHARACTERS = 40
_DAY = 24 * 3600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The seconds of an EventTime are 32 bits, of which Fluent Bit keeps the last two values for itself.
_MAX_SECONDS = 0xFFFFFFFD


class Record(Struct, frozen=True, gc=False):
    """One state of an event, ready to send.

    `kind` is one of KINDS and ends the tag; `entry` is the packed `[time, record]`; `uid` and
    `state` (the packed event) are for the cache of old states; `resource_version` is empty where
    the event has none; `truncated` says why the record is not whole: "size", "depth" or
    "encoding", else None.
    """

    kind: str
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
    truncated: str | UnsetType


class Shaper:
    """Makes records, with the cluster's name in them if it has one. One a thread."""

    def __init__(self, *, cluster: str | None = None) -> None:
        self._encode_into = msgspec.msgpack.Encoder().encode_into
        self._buffer = bytearray()
        self._cluster = UNSET if cluster is None else cluster

    def shape(self, event: Event, verb: str, old_state: bytes | None) -> Record:
        """The record of one state, whatever the object looks like: this never raises.

        Takes `event` apart: managedFields, kind and apiVersion are removed from it. A state that
        cannot be sent whole is cut and says so in `truncated`.
        """
        nanoseconds = event_time(event)
        metadata = event.metadata
        uid, version = metadata.uid, metadata.resource_version
        truncated = None
        if isinstance(event, OddEvent):
            state, truncated = self._pack_odd(event)
        else:
            event.kind = event.api_version = metadata.managed_fields = UNSET
            state = self._pack(event)
        record_id = document_id(uid, version, state)
        entry = self._entry(nanoseconds, verb, state, old_state, record_id, truncated)
        if len(entry) > MAX_RECORD_BYTES:
            truncated = "size"
            entry = self._entry(nanoseconds, verb, state, None, record_id, truncated)
            whole = event.whole if isinstance(event, OddEvent) else msgspec.to_builtins(event)
            for characters in KEPT_CHARACTERS:
                if len(entry) <= MAX_RECORD_BYTES:
                    break
                state = self._pack(shorten(whole, characters))
                entry = self._entry(nanoseconds, verb, state, None, record_id, truncated)
        kind = _KIND_OF_TYPE.get(event.type or "", "other")
        return Record(kind, entry, uid, version, state, truncated)

    def _pack(self, value: object) -> bytes:
        """The value in msgpack, in no more memory than it takes.

        `encode` gives the buffer that it wrote to, with room to spare: in the cache of old states
        that room would take a fifth more.
        """
        self._encode_into(value, self._buffer)
        return bytes(self._buffer)

    def _pack_odd(self, event: OddEvent) -> tuple[bytes, str | None]:
        """The state, and why it had to be cut if it had to be; `event.whole` is cut with it."""
        whole, truncated = event.whole, None
        whole.pop("kind", None)
        whole.pop("apiVersion", None)
        if isinstance(metadata := whole.get("metadata"), dict):
            metadata.pop("managedFields", None)
        if is_deep(whole):
            event.whole, truncated = make_plain(whole), "depth"
        try:
            return self._pack(event.whole), truncated
        except (ValueError, OverflowError):  # lone surrogates, integers over 64 bits
            event.whole = make_plain(whole)
            return self._pack(event.whole), "encoding"

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
            truncated or UNSET,
        )
        return protocol.entry_head(nanoseconds) + self._pack(content)


def document_id(uid: str, version: str, state: bytes) -> str:
    """`<uid>-<resourceVersion>`: the same for the same state, however often it is sent.

    A hash of the state where a server gave no such pair that Elasticsearch could take.
    """
    return f"{uid}-{version}" if uid and version else "sha256-" + hashlib.sha256(state).hexdigest()


def event_time(event: Event) -> int:
    """When the state came about, in nanoseconds since 1970: the event's own word, if believable.

    The first believable of series.lastObservedTime, lastTimestamp, eventTime, firstTimestamp, else
    creationTimestamp. The first four are client input and choose the index: a time more than a
    day before the creation is not believed, nor one more than a day after the last write that the
    API server itself dated (the newest managedFields time, or the creation). A pure function of
    the state, so that a state sent again lands in the same index. 0 where there is no time at all.
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
    times = (_nanoseconds(write.time) for write in metadata.managed_fields or ())
    return max((time for time in times if time is not None), default=0)


def _nanoseconds(text: Time) -> int | None:
    """An RFC 3339 time in nanoseconds since 1970; None if it is none, or none that can be sent."""
    # The cache keeps the texts, so no long ones may come to it.
    return _parsed(text) if text and len(text) <= _MAX_TIME_CHARACTERS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> int | None:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without an offset
        return None
    microseconds = since // timedelta(microseconds=1)
    return microseconds * 1000 if 0 <= microseconds <= _MAX_SECONDS * 1_000_000 else None
