"""Time, waiting and chance, passed in wherever they are needed so that tests can script them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What the time is. `time` counts seconds since 1970, `monotonic` from anywhere, never back."""

    def time(self) -> float: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Stop(Protocol):
    """A request to end, and the only way to sleep. `threading.Event` is one."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Alarm:
    """A stop that also cuts a wait short for something else to do. For one thread that waits."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_set = False

    def set(self) -> None:
        """Request the end."""
        self._is_set = True
        self._event.set()

    def is_set(self) -> bool:
        """Whether the end was requested."""
        return self._is_set

    def wake(self) -> None:
        """End the wait of this moment; the next one if nobody waits."""
        self._event.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set or woken, for so many seconds at most. Whether it is set."""
        if not self._is_set:
            self._event.wait(timeout)
            self._event.clear()
        return self._is_set


class Backoff:
    """Waits that double from `first` to `cap` seconds, ±50 % so that many do not retry as one.

    client-go's reflector: 0.8 s, doubling, 30 s, with jitter (tools/cache/reflector.go).
    """

    def __init__(
        self,
        *,
        first: float = 0.8,
        cap: float = 30.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._cap = cap
        self._uniform = uniform
        self._next = first

    def next(self) -> float:
        """The seconds to wait before the next try."""
        wait = self._next * self._uniform(0.5, 1.5)
        self._next = min(self._next * 2, self._cap)
        return wait

    def reset(self) -> None:
        """Things went well: the next wait is a short one again."""
        self._next = self._first
