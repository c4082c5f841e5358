"""How often to ask, and how long to wait for answers: two budgets that fill again. Pure."""

from __future__ import annotations

# So many seconds' worth of look-ups may be made at once, such as after a start.
BURST_SECONDS = 4
# The events wait for look-ups half a second at once at most, and a tenth of the time in the long
# run: so the first ack of a burst comes in time, and a slow API server slows nothing for long.
PATIENCE_SECONDS = 0.5
PATIENCE_SHARE = 0.1


class Budget:
    """A token bucket: `per_second` come back, up to `most`. Times are a monotonic clock's."""

    def __init__(self, *, per_second: float, most: float) -> None:
        self._per_second = per_second
        self._most = most
        self._left = most
        self._at = float("-inf")

    def left(self, now: float) -> float:
        """How much may be spent."""
        if now > self._at:
            if self._at != float("-inf"):
                self._left = min(self._left + (now - self._at) * self._per_second, self._most)
            self._at = now
        return self._left

    def spend(self, amount: float, now: float) -> None:
        """Take this much, even if that is more than is left."""
        self._left = self.left(now) - amount

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        if self.left(now) < 1:
            return False
        self._left -= 1
        return True


class Allowance:
    """So many look-ups a second, and none while the API server has asked to wait."""

    def __init__(self, per_second: int) -> None:
        self._budget = Budget(per_second=per_second, most=per_second * BURST_SECONDS)
        self._paused_until = float("-inf")

    def is_paused(self, now: float) -> bool:
        """Whether an error says to wait."""
        return now < self._paused_until

    def pause(self, until: float) -> None:
        """Ask for nothing before that."""
        self._paused_until = max(self._paused_until, until)

    def take(self, now: float) -> bool:
        """Whether one more may be made now; it then counts."""
        return not self.is_paused(now) and self._budget.take(now)


def patience() -> Budget:
    """The seconds that events may wait for look-ups."""
    return Budget(per_second=PATIENCE_SHARE, most=PATIENCE_SECONDS)
