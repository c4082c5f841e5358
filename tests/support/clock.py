"""Time, waiting and chance in the hands of a test."""

from __future__ import annotations

import threading


class FakeClock:
    """Stands still until it is told otherwise. Its two times differ, as those of a machine do."""

    def __init__(self) -> None:
        self._passed = 0.0

    def time(self) -> float:
        return 1_750_000_000.0 + self._passed

    def monotonic(self) -> float:
        return 4096.0 + self._passed

    def advance(self, seconds: float) -> None:
        self._passed += seconds


class FakeStop:
    """Notes each wait and returns at once; set after so many waits, or by hand."""

    def __init__(self, *, after_waits: int | None = None) -> None:
        self.waits: list[float | None] = []
        self._after_waits = after_waits
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if self._after_waits is not None and len(self.waits) >= self._after_waits:
            self._is_set = True
        return self._is_set


class FastStop:
    """A real stop that notes each wait and cuts it short, so that no test sits out a back-off."""

    def __init__(self, *, longest: float = 0.02) -> None:
        self._event = threading.Event()
        self._longest = longest
        self.waits: list[float] = []

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            self.waits.append(timeout)
            timeout = min(timeout, self._longest)
        return self._event.wait(timeout)


def middle(low: float, high: float) -> float:
    """In the place of `random.uniform`."""
    return (low + high) / 2
