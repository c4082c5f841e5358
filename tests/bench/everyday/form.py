"""What is measured and for how long: the short form, and the full one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Of the cache that fills: enough new events for its 16 MiB, at a rate that leaves no queue behind.
FILL_EVENTS, FILL_RATE = 25_000, 5_000
LIVE_EVENTS, LIVE_RATE = 1_000, 100


@dataclass(frozen=True, slots=True)
class Form:
    """How long each stretch takes, in seconds. Rates are events a second; 0 is idle."""

    name: str
    runs: int
    warm_seconds: float  # from the first watch to the first stretch: the start is not counted
    settle_seconds: float  # from a change of the rate to the stretch
    slow: Mapping[int, float]  # by rate; all contestants side by side
    fast: Mapping[int, float]  # by rate; one contestant after the other
    live_seconds: float  # with LIVE_EVENTS live ones at LIVE_RATE; in the first run only
    trace_seconds: float  # under strace, after a stretch; nothing is measured meanwhile
    traced_rates: tuple[int, ...] = (10, 100)

    def estimate(self, contestants: int) -> float:
        """About how many seconds it takes."""
        side_by_side = self.warm_seconds + self._length(self.slow)
        alone = self.warm_seconds + self._length(self.fast)
        traces = self.trace_seconds * len(self.traced_rates)
        starts = 3 * (3 * contestants + 2)
        one = side_by_side + contestants * alone + traces + FILL_EVENTS / FILL_RATE + starts
        return self.runs * one + self.warm_seconds + self.live_seconds

    def _length(self, stretches: Mapping[int, float]) -> float:
        return sum(seconds + self.settle_seconds for seconds in stretches.values())


SHORT = Form(
    name="short",
    runs=1,
    warm_seconds=5,
    settle_seconds=2,
    slow={0: 20, 1: 60, 10: 60},
    fast={100: 15, 500: 15},
    live_seconds=40,
    trace_seconds=5,
)
FULL = Form(
    name="full",
    runs=3,
    warm_seconds=20,
    settle_seconds=5,
    slow={0: 300, 1: 300, 10: 300},
    fast={100: 60, 500: 60},
    live_seconds=600,
    trace_seconds=10,
)
