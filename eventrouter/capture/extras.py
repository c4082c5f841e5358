"""A batcher that also does what is off by default: counts occurrences, adds details of the object.

A class of its own, so that the way of the others has no step for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from eventrouter.capture.batcher import Batcher, revision_of
from eventrouter.capture.occurrences import Occurrences
from eventrouter.capture.record import Record, Shaper
from eventrouter.capture.states import OldStates
from eventrouter.forward.batch import Batch
from eventrouter.kube.parsing import Added, Updated, WatchItem, watch_events
from eventrouter.kube.schema import Event
from eventrouter.ops.metrics import Metrics

# So many items of a list are looked at together, about as many as lines of a watch come together.
_TOGETHER = 50


class Details(Protocol):
    """What else is known of the objects of events (enrich/details.py)."""

    def expect(self, events: Sequence[Event]) -> None:
        """These come next and go out: a moment to find out about their objects."""

    def of(self, event: Event) -> tuple[object, str]:
        """What is known now, for the record, and the result to count."""

    def count(self, result: str) -> None:
        """A record with this result goes out."""


class ExtrasBatcher(Batcher):
    """A Batcher that counts occurrences, or adds details to records, or both."""

    def __init__(
        self,
        *,
        shaper: Shaper,
        states: OldStates,
        metrics: Metrics,
        occurrences: Occurrences | None,
        details: Details | None,
        repeats_up_to: int,
    ) -> None:
        """States up to the revision `repeats_up_to` have been counted by an earlier run."""
        super().__init__(shaper=shaper, states=states, metrics=metrics)
        self._occurrences = occurrences
        self._details = details
        self._repeats_up_to = repeats_up_to
        self._last_state: bytes | None = None
        self._result = ""

    def forget(self) -> None:
        """The history went back: its revisions begin anew as well."""
        super().forget()
        self._repeats_up_to = 0

    def from_list(
        self, items: Iterable[Event], *, newer_than: int | None, known_up_to: int | None = None
    ) -> Iterator[Batch]:
        """As Batcher does."""
        ready = self._ready(iter(items), newer_than or 0)
        return super().from_list(ready, newer_than=newer_than, known_up_to=known_up_to)

    def _ready(self, items: Iterator[Event], newer_than: int) -> Iterator[Event]:
        while together := list(islice(items, _TOGETHER)):
            if self._details is not None:
                self._details.expect([item for item in together if revision_of(item) > newer_than])
            for event in together:
                self._get_ready(event)
                yield event

    def _items(self, lines: Iterable[bytes]) -> Iterator[WatchItem]:
        """The items of lines that came together: their objects are looked up together."""
        items = watch_events(lines)
        if self._details is None:
            return items
        together = list(items)
        changes = [item.event for item in together if isinstance(item, Added | Updated)]
        self._details.expect(changes)
        return iter(together)

    def _add_change(
        self, batch: Batch, event: Event, verb: str, old_state: bytes | None = None
    ) -> str:
        self._get_ready(event)
        return super()._add_change(batch, event, verb, old_state)

    def _get_ready(self, event: Event) -> None:
        """What has to be known before the event is shaped and its state is put."""
        # For a difference the last state known will do, however old it is: other than an old_event
        # it need not be the one right before.
        self._last_state = self._states.last(event.metadata.uid)
        if self._details is not None:
            self._shaper.details, self._result = self._details.of(event)

    def _add(self, batch: Batch, event: Event, record: Record) -> None:
        super()._add(batch, event, record)
        if self._details is not None:
            self._details.count(self._result)
        is_repeat = int(record.resource_version or sys.maxsize) <= self._repeats_up_to
        if self._occurrences is not None and not is_repeat:
            self._occurrences.add(event, self._last_state)
