"""From list items and watch lines, as the API server sends them, to batches of records."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from eventrouter.capture.record import Record, Shaper
from eventrouter.capture.states import OldStates
from eventrouter.errors import ApiError, BadLine, Expired
from eventrouter.forward.batch import Batch, Position
from eventrouter.kube.parsing import parse_watch_event
from eventrouter.kube.schema import Event, OddEvent
from eventrouter.ops.metrics import Metrics

_DELETED = b'{"type":"DELETED"'
_VERBS = {"ADDED": "ADDED", "MODIFIED": "UPDATED"}
# Remembered of a list after a gap, for the case that it must start again. What is beyond may then
# be called UPDATED though it was called ADDED before, under the same id.
_MAX_FIRST_SEEN = 20_000
# ObjectMeta comes first in an object and its resourceVersion before any text of the event's writer,
# so that the first one in a line is the object's own (apimachinery, meta/v1 ObjectMeta).
_RESOURCE_VERSION = re.compile(rb'"resourceVersion":"([0-9]{1,100})"')


class Capture:
    """Shapes events into batches and remembers their states. One for each reflector.

    The states are those at the position that the reflector has reached, so that an UPDATED record
    carries the state right before it. Where a state in between may be missing the record
    carries none: an old state is never guessed.
    """

    def __init__(self, *, shaper: Shaper, states: OldStates, metrics: Metrics) -> None:
        self._shaper = shaper
        self._states = states
        self._metrics = metrics
        self._first_seen_in_gap: dict[str, str] = {}

    @property
    def keeps_states(self) -> bool:
        """Whether old states are wanted at all."""
        return self._states.enabled

    def forget(self) -> None:
        """The history went back: what was seen may never have happened."""
        self._states.clear()
        self._first_seen_in_gap.clear()

    def remember(self, pages: Iterable[Iterable[Event]]) -> None:
        """Learn anew the states of a list, shipped before; of as many events as there is room for.

        No more pages are asked for then: those of a large cluster would take a minute, to be
        forgotten again.
        """
        self._states.clear()
        for items in pages:
            for event in items:
                self._shape(event, "ADDED")
            if self._states.is_full:
                return

    def listed(self, items: Iterable[Event], *, newer_than: int | None) -> Iterator[Batch]:
        """The items of a list as full batches and a last one, which may be empty. No positions.

        All of them are ADDED in a first list. In one after a gap (`newer_than` is where the gap
        began) only what is newer goes out, as UPDATED if it was seen before or shows that it has
        been updated; the state right before it may be lost, so it carries none.
        """
        batch = Batch()
        for event in items:
            if newer_than is None:
                record = self._shape(event, "ADDED")
            else:
                is_old = _revision(event) <= newer_than
                verb = "UPDATED" if _is_updated(event) or self._was_seen(event) else "ADDED"
                record = self._shape(event, verb)
                if is_old:
                    continue
                if verb == "ADDED":
                    self._note_first_sight(record)
            self._add(batch, record)
            if batch.is_full:
                yield batch
                batch = Batch()
        yield batch

    def end_gap(self) -> None:
        """The list after a gap is complete."""
        self._first_seen_in_gap.clear()

    def _note_first_sight(self, record: Record) -> None:
        if record.uid and len(self._first_seen_in_gap) < _MAX_FIRST_SEEN:
            self._first_seen_in_gap[record.uid] = record.resource_version

    def _was_seen(self, event: Event) -> bool:
        """Whether an earlier state of the event has been seen.

        A list after a gap may have to start again, and what it saw first the time before was not
        seen before.
        """
        metadata = event.metadata
        version = self._first_seen_in_gap.get(metadata.uid)
        if version is not None:
            return version != metadata.resource_version
        return metadata.uid in self._states

    def watched(
        self, lines: Iterable[bytes], *, namespace: str, skip_bad: bool = False
    ) -> tuple[Batch, ApiError | None]:
        """The batch of these watch lines, with the position they reach, and what ended the watch if
        one of them says so: what stands before that line is in the batch all the same.

        Deletions move the position and are not shipped. With `skip_bad` a line that cannot be
        read is counted as discarded instead of ending the watch.
        """
        batch = Batch()
        position = ""
        last_deleted = b""
        end: ApiError | None = None
        for line in lines:
            if line.startswith(_DELETED):
                last_deleted = line
                continue
            try:
                kind, event = parse_watch_event(line)
            except BadLine as error:
                if line.isspace():  # allowed between JSON texts, though no API server sends any
                    continue
                if skip_bad:
                    self._metrics.received.labels("other").inc()
                    self._metrics.discarded.labels(error.reason).inc()
                    continue
                end = error
                break
            verb = _VERBS.get(kind)
            if verb is not None:
                old_state = None
                if verb == "UPDATED":
                    old_state = self._states.get(event.metadata.uid)
                record = self._shape(event, verb, old_state)
                self._add(batch, record)
                position = record.resource_version or position
            elif kind == "ERROR":  # with a Status, which is no Event
                end = watch_error(event.whole if isinstance(event, OddEvent) else {})
                break
            else:
                position = event.metadata.resource_version or position
            last_deleted = b""
        if last_deleted:
            position = _first_resource_version(last_deleted) or position
        if position:
            batch.positions[namespace] = Position(position)
        return batch, end

    def _shape(self, event: Event, verb: str, old_state: bytes | None = None) -> Record:
        """The record of a state, which is from now on its event's last seen one."""
        record = self._shaper.shape(event, verb, old_state)
        self._states.put(record.uid, record.state)
        return record

    def _add(self, batch: Batch, record: Record) -> None:
        batch.add(record.kind, record.entry)
        if record.truncated is not None:
            self._metrics.truncated.labels(record.truncated).inc()


def watch_error(status: dict[str, Any]) -> ApiError:
    """The ERROR line's Status as an error of ours."""
    code, text = status.get("code"), status.get("message")
    code = code if isinstance(code, int) else 0
    message = f"the watch ended with {code}: {text if isinstance(text, str) else 'no message'}"
    if code == 410:
        return Expired(message)
    return ApiError(message, reason="watch_error", status=code)


def _revision(event: Event) -> int:
    """The resourceVersion as a number; without one the event is new."""
    return int(event.metadata.resource_version or sys.maxsize)


def _first_resource_version(line: bytes) -> str:
    """The first one in a line, as a number's digits; "" if there is none."""
    match = _RESOURCE_VERSION.search(line)
    return match[1].decode() if match else ""


def _is_updated(event: Event) -> bool:
    """Whether the state shows that it is not its event's first."""
    if (event.count or 1) > 1 or event.series:
        return True
    created = event.metadata.creation_timestamp
    if not created:
        return False
    writes = event.metadata.managed_fields or ()
    return any(write.time and write.time > created for write in writes)
