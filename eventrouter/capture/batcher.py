"""From list items and watch lines, as the API server sends them, to batches of records."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from eventrouter.capture.record import Record, Shaper
from eventrouter.capture.states import OldStates
from eventrouter.errors import ApiError, BadLine
from eventrouter.forward.batch import Batch
from eventrouter.kube.parsing import Added, Reached, Updated, watch_events
from eventrouter.kube.schema import Event
from eventrouter.ops.metrics import Metrics

# How many events the batcher remembers to have called ADDED in a list, for the case that the list
# has to start again. Then it may call an event beyond these UPDATED, under the same id.
_MAX_FIRST_SEEN = 20_000


class Watched(NamedTuple):
    """What some lines of a watch come to.

    `reached` is the resourceVersion that they get to, "" if to none. `end` is set if a line ends
    the watch: the batch has what stands before that line.
    """

    batch: Batch
    reached: str
    end: ApiError | None


class Batcher:
    """Shapes events into batches and remembers their states. One for each reflector.

    The states are those at the position that the reflector has reached, so that an UPDATED record
    carries the state right before it. If a state in between may be missing, the record carries
    none: an old state is never guessed.
    """

    _items = staticmethod(watch_events)

    def __init__(self, *, shaper: Shaper, states: OldStates, metrics: Metrics) -> None:
        self._shaper = shaper
        self._states = states
        self._metrics = metrics
        self._first_seen: dict[str, str] = {}

    @property
    def keeps_states(self) -> bool:
        """Whether old states are wanted at all."""
        return self._states.enabled

    @property
    def is_full(self) -> bool:
        """Whether the list has filled the room for states: more items make others go."""
        return self._states.is_full

    def forget(self) -> None:
        """The history went back: what was seen may never have happened."""
        self._states.clear()
        self._first_seen.clear()

    def begin_list(self) -> None:
        """A list begins: no state is known for certain before it shows the state again."""
        self._states.begin_list()

    def end_list(self) -> None:
        """The list is complete."""
        self._states.end_list()
        self._first_seen.clear()

    def from_list(
        self, items: Iterable[Event], *, newer_than: int | None, known_up_to: int | None = None
    ) -> Iterator[Batch]:
        """The items of a page as full batches and a last one, which may be empty.

        With `newer_than` None every item goes out as ADDED. Else only newer items do: as UPDATED if
        the event was known before the list or shows that it has been updated, and without an old
        state, as the one right before may be lost.

        The items are the states at the position, from which the watch will go on, unless the
        page is of another revision. Then `known_up_to` says which of them are: those up to it.
        """
        batch = Batch()
        for event in items:
            revision = revision_of(event)
            is_new = newer_than is None or revision > newer_than
            is_state = known_up_to is None or revision <= known_up_to
            if not (is_new or is_state):
                continue
            is_update = newer_than is not None and (_is_updated(event) or self._was_seen(event))
            record = self._shaper.shape(event, "UPDATED" if is_update else "ADDED", None)
            if is_state:
                self._states.put(record.uid, record.state)
            if not is_new:
                continue
            if newer_than is not None and not is_update:
                self._note_first_sight(record)
            self._add(batch, event, record)
            if batch.is_full:
                yield batch
                batch = Batch()
        yield batch

    def _note_first_sight(self, record: Record) -> None:
        if record.uid and len(self._first_seen) < _MAX_FIRST_SEEN:
            self._first_seen[record.uid] = record.resource_version

    def _was_seen(self, event: Event) -> bool:
        """Whether an earlier state of the event has been seen.

        A list may have to start again, and what it saw first the time before was not seen before.
        """
        metadata = event.metadata
        version = self._first_seen.get(metadata.uid)
        if version is not None:
            return version != metadata.resource_version
        return self._states.was_known(metadata.uid)

    def from_watch(self, lines: Iterable[bytes], *, skip_bad: bool = False) -> Watched:
        """The batch of some lines of a watch.

        Deletions move the position and are not shipped. With `skip_bad` a line that cannot be
        read is counted as discarded instead of ending the watch.
        """
        batch = Batch()
        reached = ""
        for item in self._items(lines):
            if isinstance(item, Updated):
                old_state = self._states.get(item.event.metadata.uid)
                reached = self._add_change(batch, item.event, "UPDATED", old_state) or reached
            elif isinstance(item, Added):
                reached = self._add_change(batch, item.event, "ADDED") or reached
            elif isinstance(item, Reached):
                reached = item.resource_version
            elif skip_bad and isinstance(item, BadLine):
                self._metrics.received.labels("other").inc()
                self._metrics.discarded.labels(item.reason).inc()
            else:
                return Watched(batch, reached, item)
        return Watched(batch, reached, None)

    def _add_change(
        self, batch: Batch, event: Event, verb: str, old_state: bytes | None = None
    ) -> str:
        """Add the record of a state, from now on its event's last seen one; its resourceVersion."""
        record = self._shaper.shape(event, verb, old_state)
        self._states.put(record.uid, record.state)
        self._add(batch, event, record)
        return record.resource_version

    def _add(self, batch: Batch, event: Event, record: Record) -> None:
        """Add a record that goes out."""
        batch.add(record.tag_suffix, record.entry)
        if record.truncated is not None:
            self._metrics.truncated.labels(record.truncated).inc()


def revision_of(event: Event) -> int:
    """The resourceVersion as a number; an event without one counts as new."""
    return int(event.metadata.resource_version or sys.maxsize)


def _is_updated(event: Event) -> bool:
    """Whether the state shows that it is not its event's first."""
    if (event.count or 1) > 1 or event.series:
        return True
    created = event.metadata.creation_timestamp
    if not created:
        return False
    entries = event.metadata.managed_fields or ()
    return any(entry.time and entry.time > created for entry in entries)
