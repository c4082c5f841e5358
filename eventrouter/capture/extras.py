"""A batcher that does what is off by default: it counts occurrences.

A class of its own, so that the others' way has no step for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from eventrouter.capture.batcher import Batcher
from eventrouter.capture.occurrences import Occurrences
from eventrouter.capture.record import Record, Shaper
from eventrouter.capture.states import OldStates
from eventrouter.forward.batch import Batch
from eventrouter.kube.schema import Event
from eventrouter.ops.metrics import Metrics


class ExtrasBatcher(Batcher):
    """A Batcher that counts each state that goes out, unless an earlier run has counted it."""

    def __init__(
        self,
        *,
        shaper: Shaper,
        states: OldStates,
        metrics: Metrics,
        occurrences: Occurrences,
        repeats_up_to: int,
    ) -> None:
        """States up to the revision `repeats_up_to` were handed over by an earlier run."""
        super().__init__(shaper=shaper, states=states, metrics=metrics)
        self._occurrences = occurrences
        self._repeats_up_to = repeats_up_to
        self._last_state: bytes | None = None

    def forget(self) -> None:
        """The history went back: its revisions begin anew as well."""
        super().forget()
        self._repeats_up_to = 0

    def from_list(
        self, items: Iterable[Event], *, newer_than: int | None, known_up_to: int | None = None
    ) -> Iterator[Batch]:
        """As Batcher does, and count those that go out."""
        noted = self._noted(items)
        return super().from_list(noted, newer_than=newer_than, known_up_to=known_up_to)

    def _noted(self, items: Iterable[Event]) -> Iterator[Event]:
        for event in items:
            self._last_state = self._states.last(event.metadata.uid)
            yield event

    def _add_change(
        self, batch: Batch, event: Event, verb: str, old_state: bytes | None = None
    ) -> str:
        self._last_state = self._states.last(event.metadata.uid)
        return super()._add_change(batch, event, verb, old_state)

    def _add(self, batch: Batch, event: Event, record: Record) -> None:
        super()._add(batch, event, record)
        if int(record.resource_version or sys.maxsize) > self._repeats_up_to:
            # A list may show a state again, or one that is not right after the last: other than an
            # old_event, the last state known will do, however old it is.
            self._occurrences.add(event, self._last_state)
