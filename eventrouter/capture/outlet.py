"""The way from a reflector into the queue: wait for room, count what went in, show signs of life."""

from __future__ import annotations

from eventrouter.capture.vitals import Vitals
from eventrouter.clock import Stop
from eventrouter.forward.batch import Batch
from eventrouter.forward.queue import Queue
from eventrouter.ops.metrics import Metrics

# How long to wait for room in one go. A watch stays open for as long, then the reflector closes it:
# etcd's client inside the API server would buffer for us without bound.
ROOM_SECONDS = 10.0


class Outlet:
    """Puts one reflector's batches into the queue that all share."""

    def __init__(self, *, queue: Queue, metrics: Metrics, vitals: Vitals, stop: Stop) -> None:
        self._queue = queue
        self._metrics = metrics
        self._vitals = vitals
        self._stop = stop

    def put(self, batch: Batch) -> bool:
        """Queue a batch, however long that takes. False if it was stopped before that."""
        while not self.offer(batch):
            if self._stop.is_set():
                return False
            self._vitals.idled()
        return True

    def offer(self, batch: Batch) -> bool:
        """Queue a batch if there is room within ROOM_SECONDS. Else it is still the caller's."""
        # Looked at before: once queued it is the queue's, which may add others' records to it.
        counts = batch.counts()
        self._vitals.turned()
        if not self._queue.put(batch, patience=ROOM_SECONDS):
            return False
        for tag_suffix, count in counts.items():
            self._metrics.received.labels(tag_suffix).inc(count)
        self._vitals.turned()
        return True

    def wait_for_room(self) -> None:
        """Wait until the queue is half empty, or until stopped."""
        while not self._stop.is_set() and not self._queue.wait_for_room(patience=ROOM_SECONDS):
            self._vitals.idled()
