"""From a reflector into the queue: waits for room, counts what went in, keeps the position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from eventrouter.capture.vitals import Vitals
from eventrouter.clock import Stop
from eventrouter.forward.batch import Batch, Position
from eventrouter.forward.queue import Queue
from eventrouter.ops.metrics import Metrics

# How long to wait for room in one go. A watch stays open for as long, then the reflector closes it:
# etcd's client inside the API server would buffer for us without bound.
ROOM_SECONDS = 10.0


class Progress(Protocol):
    """What a checkpoint must know beside the positions that are acknowledged. Thread-safe.

    Each call returns when that is written; `beat` is called now and then while it waits.
    """

    def begin_list(
        self, namespace: str, resource_version: str, *, beat: Callable[[], None]
    ) -> None:
        """A list of everything begins at this revision."""

    def history_went_back(self, namespace: str, history: int, *, beat: Callable[[], None]) -> None:
        """The positions so far are of an undone history. Those to come are of this one."""


class Outlet:
    """Puts one reflector's batches into the queue that all share.

    `position` is how far it has come: all events up to there are in the queue or further.
    """

    def __init__(
        self,
        *,
        namespace: str,
        queue: Queue,
        progress: Progress,
        metrics: Metrics,
        vitals: Vitals,
        stop: Stop,
    ) -> None:
        self._namespace = namespace
        self._queue = queue
        self._progress = progress
        self._metrics = metrics
        self._vitals = vitals
        self._stop = stop
        self._history = 0
        self.position: str | None = None

    def begin_list(self, resource_version: str) -> None:
        """A list of everything begins: nothing of it may be sent before that is written."""
        self._progress.begin_list(self._namespace, resource_version, beat=self._vitals.turned)

    def begin_history(self) -> None:
        """The API server's history went back: there is no position in the new one yet."""
        self.position = None
        self._history += 1
        self._progress.history_went_back(self._namespace, self._history, beat=self._vitals.turned)

    def put(self, batch: Batch, *, reached: str = "") -> bool:
        """Queue a batch, however long that takes. False if stopped before that."""
        while not self.offer(batch, reached=reached):
            if self._stop.is_set():
                return False
            self._vitals.idled()
        return True

    def offer(self, batch: Batch, *, reached: str = "") -> bool:
        """Queue a batch if there is room within ROOM_SECONDS. If not, it is still the caller's.

        With `reached` this batch completes that position.
        """
        if reached:
            batch.positions[self._namespace] = Position(reached, self._history)
        if batch.is_empty:
            return True
        # Looked at before: once queued it is the queue's, which may add others' records to it.
        counts = batch.counts()
        self._vitals.turned()
        if not self._queue.put(batch, patience_seconds=ROOM_SECONDS):
            return False
        for tag_suffix, count in counts.items():
            self._metrics.received.labels(tag_suffix).inc(count)
        self.position = reached or self.position
        self._vitals.turned()
        return True

    def end(self) -> None:
        """Nothing more comes: its silence from now on means nothing."""
        self._vitals.end()

    def wait_for_room(self) -> None:
        """Wait until the queue is half empty, or until stopped."""
        while not self._stop.is_set():
            if self._queue.wait_for_room(patience_seconds=ROOM_SECONDS):
                return
            self._vitals.idled()
