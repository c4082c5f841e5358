"""The reflector: follows the events of a namespace or of the cluster, and never loses its place.

Named after client-go's (tools/cache/reflector.go), with another aim. That one keeps a copy of
all objects and may skip states; this one keeps nothing and must not. So it never lists
to catch up where the API server still has the changes, and where it has compacted some it goes
back to the oldest revision that is left.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from eventrouter.capture.batcher import Capture
from eventrouter.capture.lister import History, Lister
from eventrouter.capture.retry import Retry
from eventrouter.clock import Clock, Stop
from eventrouter.errors import ApiError, BadLine, Expired
from eventrouter.forward.batch import Batch, Position
from eventrouter.forward.queue import Queue
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# The server ends a watch after so many seconds, ±10 %: a link that died is found soon after.
WATCH_SECONDS = 90
# A full queue is waited for this long with the watch open, then the watch is closed:
# etcd's client inside the API server would buffer for us without bound.
PATIENCE = 10.0
# A watch that ends within so many seconds without an event is no success, though it began with 200.
_TOO_SHORT = 1.0
# One that lasts this long, or brings an event, is a success: the next back-off starts small.
_GOOD_WHILE = 30.0
# So many in a row and the position is given up, whatever the probe says (kubernetes#104171).
_FRUITLESS_WATCHES = 3


class Watch(Protocol):
    """Opens a watch: its lines, as many at a time as arrived together. May raise ApiError."""

    def __call__(
        self, namespace: str, *, resource_version: str, timeout_seconds: int
    ) -> AbstractContextManager[Iterable[list[bytes]]]: ...


class Reflector:
    """Lists, watches, resumes. `run` is a thread's whole life; `position` is how far it has come.

    All states go into the queue in the API server's order, each batch with the position that it
    completes. A position is where a watch can go on: it moves only after what stands before it
    is in the queue.
    """

    def __init__(
        self,
        *,
        namespace: str,
        lister: Lister,
        watch: Watch,
        retry: Retry,
        capture: Capture,
        queue: Queue,
        metrics: Metrics,
        pulse: Pulse,
        contact: Pulse,
        stop: Stop,
        clock: Clock,
        begin_list: Callable[[str, str], None] = lambda namespace, resource_version: None,
        history_went_back: Callable[[str, int], None] = lambda namespace, history: None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._namespace = namespace
        self._lister = lister
        self._open_watch = watch
        self._retry = retry
        self._capture = capture
        self._queue = queue
        self._metrics = metrics
        self._pulse = pulse
        self._contact = contact
        self._stop = stop
        self._clock = clock
        self._begin_list = begin_list
        self._history_went_back = history_went_back
        self._history = 0
        self._uniform = uniform
        self._list_at: str | None = None
        self._states_are_known = False
        self._fruitless_watches = 0
        self._bad_position: str | None = None
        self._overdue: Batch | None = None
        self.position: str | None = None

    def run(self, resume_at: str | None, *, list_at: str | None = None) -> None:
        """Follow from `resume_at`, or from a list of everything, until stopped.

        `list_at` is where an earlier first list began, if that came to nothing.
        """
        self.position, self._list_at = resume_at, list_at
        while not self._stop.is_set():
            try:
                self._catch_up()
                if self._states_are_known:
                    self._watch()
                    self._settle()
            except ApiError as error:
                self._fruitless_watches += isinstance(error, Expired)
                self._retry.after(error)
            self._pulse.beat()

    def _catch_up(self) -> None:
        """Bring `position` to where a watch can start, and the old states with it."""
        if self.position is None:
            self._list_everything()
            return
        history = self._lister.probe(self.position)
        if history is History.WENT_BACK:
            log.warning(
                "The API server's history went back before the position: listing everything anew",
                extra={"namespace": self._namespace, "resource_version": self.position},
            )
            self._metrics.relists.labels("went_back").inc()
            self._capture.forget()
            self.position = self._list_at = None
            self._history += 1
            self._history_went_back(self._namespace, self._history)
            self._list_everything()
            return
        if history is History.COMPACTED or self._fruitless_watches >= _FRUITLESS_WATCHES:
            self._list_after_gap(self.position, at_newest=history is History.HELD)
        elif not self._states_are_known and self._capture.keeps_states:
            pages = self._lister.pages(resource_version=self.position)
            self._capture.remember(page.items for page in pages)
        self._states_are_known = True

    def _list_everything(self) -> None:
        """A first list: every event there is, in pages, then the position.

        Of the newest revision, or of the one where an earlier first list began, as near as the
        API server still has it.
        """
        self._metrics.relists.labels("start").inc()
        at = self._list_at and self._lister.nearest_held(self._list_at)
        position = None
        is_of_one_revision = True
        for page in self._lister.pages(resource_version=at):
            if position is None:
                # The first page's revision: after an expired token the later pages are of a newer
                # one. What changed in between comes again, its states learned anew before that.
                position = page.resource_version
                self._begin_list(self._namespace, position)
            is_of_one_revision = is_of_one_revision and page.resource_version == position
            self._put_all(self._capture.listed(page.items, newer_than=None))
        self._complete_list(position)
        self._states_are_known = is_of_one_revision

    def _list_after_gap(self, position: str, *, at_newest: bool) -> None:
        """Go back to the oldest revision that is left and ship what is newer than the position."""
        gap_start = int(position)
        newest = self._lister.newest()
        resume_at = newest if at_newest else self._lister.oldest_held(gap_start, newest)
        log.warning(
            "The API server no longer has the changes right after the position: "
            "listing at the oldest revision that it has",
            extra={
                "namespace": self._namespace,
                "resource_version": position,
                "resumed_at": str(resume_at),
            },
        )
        self._metrics.relists.labels("expired").inc()
        self._states_are_known = False
        self._fruitless_watches = 0
        for page in self._lister.pages(resource_version=str(resume_at)):
            self._put_all(self._capture.listed(page.items, newer_than=gap_start))
        self._complete_list(str(resume_at))
        self._capture.end_gap()

    def _complete_list(self, position: str | None) -> None:
        """Only the end of a list moves the position: its items come in the order of their names."""
        if position is None or self._stop.is_set():
            return
        batch = Batch()
        batch.positions[self._namespace] = Position(position)
        self._put(batch)
        log.info(
            "Listed the events", extra={"namespace": self._namespace, "resource_version": position}
        )

    def _watch(self) -> None:
        """One watch, from `position` to its end. Raises ApiError at any end but a clean one."""
        if self.position is None:
            return
        started_at = self.position
        started = self._clock.monotonic()
        seconds = round(WATCH_SECONDS * self._uniform(0.9, 1.1))
        with self._open_watch(
            self._namespace, resource_version=self.position, timeout_seconds=seconds
        ) as stream:
            self._retry.succeeded()
            self._contact.beat()
            try:
                is_over = self._follow(stream)
            finally:
                lasted = self._clock.monotonic() - started
                if self.position != started_at or lasted >= _GOOD_WHILE:
                    self._fruitless_watches = 0
                    self._retry.reset()
        if is_over:
            self._metrics.watches.labels("closed").inc()
            if self.position == started_at and lasted < _TOO_SHORT:
                self._fruitless_watches += 1
                raise ApiError("the watch ended at once, without an event", reason="empty_watch")

    def _follow(self, stream: Iterable[list[bytes]]) -> bool:
        """Queue what the watch brings until it ends; False if it is to be closed before that."""
        for lines in stream:
            batch, end = self._capture.watched(
                lines, namespace=self._namespace, skip_bad=self._bad_position == self.position
            )
            if not batch.is_empty and not self._offer(batch):
                return False
            if end is not None:
                self._note_end(end)
                raise end
            if self._stop.is_set():
                return False
            self._contact.beat()
        self._contact.beat()
        return True

    def _note_end(self, end: ApiError) -> None:
        self._metrics.watches.labels(end.reason).inc()
        if isinstance(end, BadLine):
            # Damage on the way is gone at the next try from the same position. A line that is still
            # bad then is so at its source, and is skipped so that it holds up nothing.
            self._bad_position = self.position

    def _offer(self, batch: Batch) -> bool:
        """Queue a batch; False if that took so long that the watch is better closed.

        Then the batch waits here, in order, and comes back queued: nothing is shaped twice.
        """
        if self._enqueue(batch):
            return True
        if self._stop.is_set():
            return False
        self._metrics.watches.labels("queue_full").inc()
        log.warning(
            "The queue stays full: closing the watch until the sidecar takes events again",
            extra={"namespace": self._namespace},
        )
        self._overdue = batch
        return False

    def _settle(self) -> None:
        """Queue what was in hand when the watch was closed, and let the queue run half empty."""
        if self._overdue is not None:
            self._put(self._overdue)
            self._overdue = None
            while not self._stop.is_set() and not self._queue.wait_for_room(
                patience_seconds=PATIENCE
            ):
                self._pulse.beat()
                self._contact.beat()  # it is not the API server that keeps us waiting

    def _put_all(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            if not batch.is_empty:
                self._put(batch)

    def _put(self, batch: Batch) -> None:
        """See a batch into the queue, however long that takes."""
        while not self._stop.is_set() and not self._enqueue(batch):
            self._pulse.beat()

    def _enqueue(self, batch: Batch) -> bool:
        """Queue a batch if there is room before long, and move the position."""
        # Looked at before: once queued it is the queue's, which may add others' records to it.
        kinds, reached = batch.counts(), batch.positions.get(self._namespace)
        if reached is not None:
            batch.positions[self._namespace] = reached._replace(history=self._history)
        self._pulse.beat()
        if not self._queue.put(batch, patience_seconds=PATIENCE):
            return False
        for kind, count in kinds.items():
            self._metrics.received.labels(kind).inc(count)
        if reached is not None:
            self.position = reached.resource_version
        self._pulse.beat()
        return True
