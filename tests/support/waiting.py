"""Wait for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SHORTEST_PAUSE_SECONDS = 0.01


def eventually(
    condition: Callable[[], T], *, timeout: float = 10.0, what: str = "", interval: float = 0.1
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
