"""A plan of faults: which, in which order, decided by a seed."""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any


class Plan:
    """Faults yet to come, in an order that a seed decides. Thread-safe.

    A seed gives the same faults in the same order; where in the traffic each of them strikes
    depends on the traffic.
    """

    def __init__(self, faults: Sequence[tuple[str, Any]], *, seed: int) -> None:
        self.random = random.Random(seed)
        self._due = deque(self.random.sample(faults, len(faults)))
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()

    @property
    def is_over(self) -> bool:
        """Whether all has been done."""
        return not self._due

    def next(self, *, chance: float, unless: Callable[[str, Any], bool]) -> tuple[str, Any]:
        """By this chance the next fault, if it can be had now; else none, which is ("", None)."""
        with self._lock:
            if not self._due or self.random.random() > chance or unless(*self._due[0]):
                return "", None
            fault = self._due.popleft()
            self.done[fault[0]] += 1
            return fault
