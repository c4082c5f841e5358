"""The bounded queue between the reflectors, which fill it, and the sender, which empties it."""

from __future__ import annotations

import threading
from collections import deque

from eventrouter.clock import Clock, SystemClock
from eventrouter.forward.batch import MAX_BYTES as BATCH_BYTES
from eventrouter.forward.batch import MAX_RECORDS as BATCH_RECORDS
from eventrouter.forward.batch import Batch

MAX_RECORDS = 10_000
MAX_BYTES = 8 * 1024 * 1024
# The batch's age limit: a lone event waits this long for company, in seconds.
LINGER = 0.1


class Queue:
    """Batches in order, bounded in records and in bytes. Thread-safe.

    `put` blocks while it is full: that is the back-pressure on the watch. A batch larger than
    the bounds is taken when the queue is empty, so that nothing can be stuck for its size.
    """

    def __init__(
        self,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        linger: float = LINGER,
        clock: Clock | None = None,
    ) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._linger = linger
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._batches: deque[Batch] = deque()
        self._since = 0.0
        self._closed = False
        self.records = 0
        self.size = 0

    def put(self, batch: Batch, *, patience: float) -> bool:
        """Append a batch within `patience` seconds.

        False if the queue stayed full for that long or was closed: the batch is still the caller's.
        Else it is the queue's, which may add others' records to it.
        """
        with self._lock:
            if not self._has_room(batch) and not self._emptied.wait_for(
                lambda: self._closed or self._has_room(batch), patience
            ):
                return False
            if self._closed:
                return False
            was_empty = not self._batches
            if was_empty:
                self._since = self._clock.monotonic()
            self.records += batch.records
            self.size += batch.size
            if not was_empty and self._batches[-1].takes(batch):
                self._batches[-1].merge(batch)
            else:
                self._batches.append(batch)
            if was_empty or self._is_due():
                self._filled.notify()
            return True

    def take(self, *, patience: float) -> Batch | None:
        """The next batch to send, full or of age; None if there was none within `patience` seconds.

        After `close` it gives what is left at once, and then None.
        """
        with self._lock:
            deadline = self._clock.monotonic() + patience
            while not self._is_due():
                now = self._clock.monotonic()
                wake = min(deadline, self._since + self._linger) if self._batches else deadline
                if self._closed or now >= deadline:
                    return None
                self._filled.wait(wake - now)
            batch = self._batches.popleft()
            self.records -= batch.records
            self.size -= batch.size
            self._since = self._clock.monotonic()
            self._emptied.notify_all()
            return batch

    def wait_for_room(self, *, patience: float) -> bool:
        """Whether the queue was at most half full within `patience` seconds."""
        with self._lock:
            return self._emptied.wait_for(
                lambda: (
                    self._closed
                    or (
                        self.records <= self._max_records // 2 and self.size <= self._max_bytes // 2
                    )
                ),
                patience,
            )

    def close(self) -> None:
        """Take no more. Whoever waits is woken."""
        with self._lock:
            self._closed = True
            self._filled.notify_all()
            self._emptied.notify_all()

    def clear(self) -> None:
        """Drop what is left."""
        with self._lock:
            self._batches.clear()
            self.records = self.size = 0

    @property
    def is_drained(self) -> bool:
        """Whether it is closed and empty: nothing will come any more."""
        with self._lock:
            return self._closed and not self._batches

    def _has_room(self, batch: Batch) -> bool:
        return not self._batches or (
            self.records + batch.records <= self._max_records
            and self.size + batch.size <= self._max_bytes
        )

    def _is_due(self) -> bool:
        return bool(self._batches) and (
            self._closed
            or self.records >= BATCH_RECORDS
            or self.size >= BATCH_BYTES
            or self._clock.monotonic() >= self._since + self._linger
        )
