"""From an Event object, as the API gives it, to the record that is shipped. Pure.

The record is `{"verb", "event", "old_event", "id", "cluster"}` (docs/architecture.md). Event
bodies are packed once: the same bytes go into the record, into the cache of old states, and
from there into the next record of that event.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgpack

from eventrouter import forward
from eventrouter.cut import KEPT_CHARACTERS, is_deep, make_plain, shorten

Event = dict[str, Any]

VERBS = ("ADDED", "UPDATED")
KINDS = ("normal", "warning", "other")

# Well under the 8 MB of Fluent Bit's buffer_max_size (fluent/pipeline.yaml). An object in etcd is
# at most 1.5 MiB, so a record with its old state stays whole.
MAX_RECORD_BYTES = 4 * 1024 * 1024

_KIND_OF_TYPE = {"Normal": "normal", "Warning": "warning"}
# What Fluent Bit takes in a document id: no control characters, quotes or backslashes
# (plugins/out_opensearch), and Elasticsearch at most 512 bytes.
_SAFE_UID = re.compile(r"[0-9A-Za-z._:-]{1,400}")
# Far longer than any resourceVersion, and short enough for int().
_MAX_VERSION_DIGITS = 100
_MAX_TIME_CHARACTERS = 40
_DAY = 24 * 3600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The seconds of an EventTime are 32 bits, of which Fluent Bit keeps the last two values for itself.
_MAX_SECONDS = 0xFFFFFFFD


class Record(NamedTuple):
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


class Shaper:
    """Makes records. One a thread: a packer is not to be shared."""

    def __init__(self, *, cluster: str | None = None) -> None:
        self._pack = pack = msgpack.Packer(use_bin_type=True).pack
        self._verbs = {verb: pack("verb") + pack(verb) + pack("event") for verb in VERBS}
        self._old_event, self._id, self._truncated = map(pack, ("old_event", "id", "truncated"))
        self._cluster = b"" if cluster is None else pack("cluster") + pack(cluster)
        self._least_fields = 3 if cluster is None else 4

    def shape(self, event: Event, verb: str, old_state: bytes | None) -> Record:
        """The record of one state, whatever the object looks like: this never raises.

        Takes `event` apart: managedFields, kind and apiVersion are removed from it. A state that
        cannot be sent whole is cut and says so in `truncated`.
        """
        truncated = None
        event.pop("kind", None)
        event.pop("apiVersion", None)
        metadata = event.get("metadata")
        if type(metadata) is not dict:
            metadata = {}
        managed_fields = metadata.pop("managedFields", None)
        if is_deep(event):
            event, truncated = make_plain(event), "depth"
        try:
            state = self._pack(event)
        except (ValueError, TypeError, OverflowError):  # lone surrogates, integers over 64 bits
            event, truncated = make_plain(event), "encoding"
            state = self._pack(event)

        nanoseconds = event_time(event, managed_fields)
        uid, version = metadata.get("uid"), resource_version(metadata)
        record_id = document_id(uid, version, state)
        entry = self._entry(nanoseconds, verb, state, old_state, record_id, truncated)
        if len(entry) > MAX_RECORD_BYTES:
            truncated = "size"
            entry = self._entry(nanoseconds, verb, state, None, record_id, truncated)
            for characters in KEPT_CHARACTERS:
                if len(entry) <= MAX_RECORD_BYTES:
                    break
                state = self._pack(shorten(event, characters))
                entry = self._entry(nanoseconds, verb, state, None, record_id, truncated)

        kind = event.get("type")
        return Record(
            _KIND_OF_TYPE.get(kind, "other") if type(kind) is str else "other",
            entry,
            uid if type(uid) is str else "",
            version,
            state,
            truncated,
        )

    def _entry(
        self,
        nanoseconds: int,
        verb: str,
        state: bytes,
        old_state: bytes | None,
        record_id: str,
        truncated: str | None,
    ) -> bytes:
        count = self._least_fields
        parts = [self._verbs[verb], state]
        if old_state is not None:
            count += 1
            parts += (self._old_event, old_state)
        parts += (self._id, self._pack(record_id), self._cluster)
        if truncated is not None:
            count += 1
            parts += (self._truncated, self._pack(truncated))
        return b"".join((forward.entry_head(nanoseconds), forward.map_header(count), *parts))


def document_id(uid: object, version: str, state: bytes) -> str:
    """`<uid>-<resourceVersion>`: the same for the same state, however often it is sent.

    A hash of the state where a server gave no such pair that Elasticsearch could take.
    """
    if version and isinstance(uid, str) and _SAFE_UID.fullmatch(uid):
        return f"{uid}-{version}"
    return "sha256-" + hashlib.sha256(state).hexdigest()


def resource_version(metadata: dict[str, Any]) -> str:
    """The resourceVersion, if it is the decimal number that it has to be (KEP-5504), else ""."""
    version = metadata.get("resourceVersion")
    if type(version) is str and version.isdecimal() and version.isascii():
        return version if len(version) <= _MAX_VERSION_DIGITS else ""
    return ""


def event_time(event: Event, managed_fields: object = None) -> int:
    """When the state came about, in nanoseconds since 1970: the event's own word, if believable.

    The first believable of series.lastObservedTime, lastTimestamp, eventTime, firstTimestamp, else
    creationTimestamp. The first four are client input and choose the index: a time more than a
    day before the creation is not believed, nor one more than a day after the last write that the
    API server itself dated (the newest managedFields time, or the creation). A pure function of
    the state, so that a state sent again lands in the same index. 0 where there is no time at all.
    """
    metadata = event.get("metadata")
    text = metadata.get("creationTimestamp") if type(metadata) is dict else None
    created = _nanoseconds(text) if type(text) is str else None
    series = event.get("series")
    for text in (
        series.get("lastObservedTime") if type(series) is dict else None,
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
    ):
        claimed = _nanoseconds(text) if type(text) is str else None
        if claimed is None:
            continue
        if created is None:
            return claimed
        if created - _DAY <= claimed and (
            claimed <= created + _DAY or claimed <= _newest(managed_fields) + _DAY
        ):
            return claimed
    return created or 0


def _newest(managed_fields: object) -> int:
    fields = managed_fields if isinstance(managed_fields, list) else []
    texts = (field.get("time") for field in fields if isinstance(field, dict))
    times = (_nanoseconds(text) for text in texts if isinstance(text, str))
    return max((time for time in times if time is not None), default=0)


def _nanoseconds(text: str) -> int | None:
    """An RFC 3339 time in nanoseconds since 1970; None if it is none, or none that can be sent."""
    # The cache keeps the texts, so no long ones may come to it.
    return _parsed(text) if len(text) <= _MAX_TIME_CHARACTERS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> int | None:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without an offset
        return None
    microseconds = since // timedelta(microseconds=1)
    return microseconds * 1000 if 0 <= microseconds <= _MAX_SECONDS * 1_000_000 else None
