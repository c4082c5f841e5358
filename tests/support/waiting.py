"""Wait for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# For what should come at once. A shared machine stands still for seconds now and then, and a test
# that passes never waits for so long.
DEADLINE = 60.0
_SHORTEST_PAUSE_SECONDS = 0.01


def eventually(
    condition: Callable[[], T], *, timeout: float = DEADLINE, what: str = "", interval: float = 0.1
) -> T:
    """The first true value of `condition()`. Raises TimeoutError, naming `what` did not come.

    Between two tries it pauses for a tenth of the time that has passed, at most `interval`
    seconds: what comes soon is seen at once, and what takes long is not asked too often.
    """
    began = time.monotonic()
    while not (value := condition()):
        passed = time.monotonic() - began
        if passed >= timeout:
            raise TimeoutError(f"not within {timeout:g} s: {what or condition}")
        time.sleep(min(interval, max(_SHORTEST_PAUSE_SECONDS, passed / 10)))
    return value
