"""The bounded queue between the reflectors, which fill it, and the sender, which empties it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from eventrouter.clock import Clock, SystemClock
from eventrouter.forward import pacing
from eventrouter.forward.batch import MAX_BYTES as BATCH_BYTES
from eventrouter.forward.batch import MAX_RECORDS as BATCH_RECORDS
from eventrouter.forward.batch import Batch

MAX_RECORDS = 10_000
MAX_BYTES = 8 * 1024 * 1024
# A long linger ends early once fewer chunks wait; the sender asks again this often.
_LOOK_SECONDS = 1.0


class Queue:
    """Batches in order, bounded in records and in bytes. Thread-safe.

    `put` blocks while it is full: that is the back-pressure on the watch. A batch larger than
    the bounds is taken when the queue is empty, so that no batch is stuck for its size.
    """

    def __init__(
        self,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        linger_seconds: Callable[[], float] = lambda: pacing.linger_seconds(0),
        is_collecting: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        """`linger_seconds` says how old a batch that is not full must be before it is taken.

        While it `is_collecting`, full batches wait as well, until the queue is half full, and then
        all of them are taken in a row.
        """
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._linger_seconds = linger_seconds
        self._is_collecting = is_collecting
        self._is_releasing = False
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._batches: deque[Batch] = deque()
        self._since = 0.0
        self._closed = False
        self.records = 0
        self.size_bytes = 0

    def put(self, batch: Batch, *, patience_seconds: float) -> bool:
        """Append a batch, waiting for room if need be.

        False if the queue stayed full for that long or was closed: the batch is still the caller's.
        Else it is the queue's, which may add others' records to it.
        """
        with self._lock:
            if not self._has_room(batch) and not self._emptied.wait_for(
                lambda: self._closed or self._has_room(batch), patience_seconds
            ):
                return False
            if self._closed:
                return False
            was_empty = not self._batches
            if was_empty:
                self._since = self._clock.monotonic()
            self.records += batch.records
            self.size_bytes += batch.size_bytes
            if not was_empty and self._batches[-1].takes(batch):
                self._batches[-1].merge(batch)
            else:
                self._batches.append(batch)
            if was_empty or self._is_due():
                self._filled.notify()
            return True

    def take(self, *, patience_seconds: float) -> Batch | None:
        """The next batch to send, full or old enough; None if there was none within that time.

        After `close` it returns what is left at once, and then None.
        """
        with self._lock:
            deadline = self._clock.monotonic() + patience_seconds
            while not self._is_due():
                now = self._clock.monotonic()
                if self._closed or now >= deadline:
                    return None
                wake = deadline
                if self._batches:
                    wake = min(wake, self._since + self._linger_seconds(), now + _LOOK_SECONDS)
                self._filled.wait(wake - now)
            batch = self._batches.popleft()
            self.records -= batch.records
            self.size_bytes -= batch.size_bytes
            self._since = self._clock.monotonic()
            self._is_releasing = bool(self._batches) and self._is_collecting()
            self._emptied.notify_all()
            return batch

    def wait_for_room(self, *, patience_seconds: float) -> bool:
        """Whether the queue became at most half full within that time."""
        with self._lock:
            return self._emptied.wait_for(
                lambda: self._closed or self._is_half_empty(), patience_seconds
            )

    def close(self) -> None:
        """Take no more batches, and wake all that wait."""
        with self._lock:
            self._closed = True
            self._filled.notify_all()
            self._emptied.notify_all()

    def clear(self) -> None:
        """Drop all batches."""
        with self._lock:
            self._batches.clear()
            self.records = self.size_bytes = 0

    @property
    def is_drained(self) -> bool:
        """Whether it is closed and empty, for good."""
        with self._lock:
            return self._closed and not self._batches

    def _has_room(self, batch: Batch) -> bool:
        return not self._batches or (
            self.records + batch.records <= self._max_records
            and self.size_bytes + batch.size_bytes <= self._max_bytes
        )

    def _is_half_empty(self) -> bool:
        return self.records <= self._max_records // 2 and self.size_bytes <= self._max_bytes // 2

    def _is_due(self) -> bool:
        return bool(self._batches) and (
            self._closed
            or self._is_releasing
            or self._is_full()
            or self._clock.monotonic() >= self._since + self._linger_seconds()
        )

    def _is_full(self) -> bool:
        if self._is_collecting():
            return not self._is_half_empty()
        return self.records >= BATCH_RECORDS or self.size_bytes >= BATCH_BYTES
