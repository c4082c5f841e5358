"""The checkpoint: how far the events have come, and where the next run begins. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeGuard

import orjson

FORMAT_VERSION = 1

# Before any revision that has an event: the oldest one that the API server holds is nearest to it.
OLDEST = "1"

# Far more than etcd's 19. Python refuses to read thousands.
_MAX_DIGITS = 100

# By namespace ("" for the whole cluster).
ResourceVersions = dict[str, str]


class Start(NamedTuple):
    """Where a reflector begins.

    It watches from `resume_at`. Without that it lists first: at the nearest revision that the API
    server holds at or after `list_at`, or at the newest one if that is None too.
    """

    resume_at: str | None = None
    list_at: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Two positions for each namespace ("" is the whole cluster): an ack is not a delivery.

    `acked`: up to here everything is in the sidecar's buffer, good for going on with the same
    buffer. `delivered`: up to here everything has left that buffer too, good for going on with
    any. `started`, until there is a `delivered`: where the first list began, to begin there again.
    `source_id` names what the positions are valid for, `buffer` is the buffer's identity.
    """

    source_id: str
    buffer: str
    acked: ResourceVersions = field(default_factory=dict)
    delivered: ResourceVersions = field(default_factory=dict)
    started: ResourceVersions = field(default_factory=dict)

    def encode(self, *, now: float) -> bytes:
        """As JSON, with the time (seconds since 1970) for people who read it."""
        return orjson.dumps(
            {
                "version": FORMAT_VERSION,
                "written": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
                "scope": self.source_id,
                "buffer": self.buffer,
                "acked": self.acked,
                "delivered": self.delivered,
                "started": self.started,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Checkpoint:
        """NOT_UNDERSTOOD for anything that is not a checkpoint of this format."""
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError:
            return NOT_UNDERSTOOD
        if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
            return NOT_UNDERSTOOD
        source_id, buffer = content.get("scope"), content.get("buffer")
        if not (isinstance(source_id, str) and isinstance(buffer, str)):
            return NOT_UNDERSTOOD
        acked, delivered = content.get("acked"), content.get("delivered")
        started = content.get("started", {})
        if not (_are_positions(acked) and _are_positions(delivered) and _are_positions(started)):
            return NOT_UNDERSTOOD
        return cls(source_id, buffer, acked, delivered, started)


# A checkpoint that is there and of no use. Its source is nobody's, so the next run begins at the
# oldest revision that the API server holds.
NOT_UNDERSTOOD = Checkpoint(source_id="", buffer="")


@dataclass(frozen=True, slots=True)
class Resumption:
    """What the next run takes over from a checkpoint, and where its reflectors begin.

    `kept` holds the positions that are good for this run's source and buffer. `problem` says why
    there are none, for the log; empty if there is nothing to say. `acked` is how far an earlier run
    got with any buffer.
    """

    kept: Checkpoint
    is_first: bool = False
    problem: str = ""
    acked: ResourceVersions = field(default_factory=dict)

    def start(self, namespace: str) -> Start:
        """Where the reflector of a namespace ("" for the whole cluster) begins.

        The whole cluster's position is good for each namespace, and the newer of the two wins.
        Namespaces' positions never make one for the whole cluster: nobody followed the others.
        Without a position, list at the revision where an earlier first list began, or at the oldest
        one that the API server holds. The newest would skip states, so that is for the first run.
        """
        places = (namespace, "")
        if positions := _found(self.kept.acked, places):
            return Start(resume_at=str(max(positions)))
        if self.is_first:
            return Start()
        started = _found(self.kept.started, places)
        return Start(list_at=str(min(started)) if started else OLDEST)

    def repeats_up_to(self, namespace: str) -> int:
        """The revision up to which an earlier run has handed over what this run may repeat."""
        return max(_found(self.acked, (namespace, "")), default=0)


def resume(last: Checkpoint | None, *, source_id: str, buffer: str) -> Resumption:
    """What to take over from the last checkpoint; None if there never was one."""
    nothing = Checkpoint(source_id, buffer)
    if last is None:
        return Resumption(nothing, is_first=True)
    if last is NOT_UNDERSTOOD:
        return Resumption(nothing, problem="The checkpoint cannot be understood")
    if last.source_id != source_id:
        return Resumption(nothing, problem="The checkpoint is of another API server or selector")
    acked = last.acked if last.buffer == buffer else last.delivered
    kept = Checkpoint(source_id, buffer, acked, last.delivered, last.started)
    return Resumption(kept, acked=last.acked)


def source_id(*, server: str | None, field_selector: str | None) -> str:
    """Names what resourceVersions are valid for: the API server and the selector.

    A checkpoint in a Lease is in the cluster that it is about, so `server` is None there and a new
    URL or CA changes nothing. A checkpoint in a file belongs to the `server` of that URL. The CA is
    no part of it: certificates are rotated while the positions stay valid. Where another cluster
    takes over a URL, the probe before each resume finds that its history is shorter; if it is
    longer, nothing tells the two apart.
    """
    parts = ("lease" if server is None else server, field_selector or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _found(positions: ResourceVersions, places: Iterable[str]) -> list[int]:
    """resourceVersions are decimal numbers and compare as such (KEP-5504)."""
    return [int(positions[place]) for place in places if place in positions]


def _are_positions(value: Any) -> TypeGuard[ResourceVersions]:
    return isinstance(value, dict) and all(
        isinstance(position, str) and position.isdecimal() and len(position) <= _MAX_DIGITS
        for position in value.values()
    )
