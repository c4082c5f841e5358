"""After the API server refused or failed: count it, log it once, wait."""

from __future__ import annotations

import logging

from eventrouter.clock import Backoff, Stop
from eventrouter.errors import ApiError, ResourceExpired
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.trouble import Trouble

log = logging.getLogger(__name__)


class Retry:
    """The waits between tries, longer each time and never shorter than the server asked for."""

    def __init__(self, *, namespace: str, backoff: Backoff, stop: Stop, metrics: Metrics) -> None:
        self._backoff = backoff
        self._stop = stop
        self._metrics = metrics
        self._trouble = Trouble(log, over="The API server answers again", namespace=namespace)

    def count(self, error: ApiError) -> None:
        """Count an error without waiting."""
        self._metrics.errors.labels("receiving", error.reason).inc()

    def wait_after(self, error: ApiError) -> None:
        """Count and log an error, then wait before the next try, or until stopped."""
        if self._stop.is_set():
            return
        self.count(error)
        # An expired position is everyday business in a quiet cluster, and the relist is logged.
        if not isinstance(error, ResourceExpired):
            self._trouble.report(f"{error}; trying again", reason=error.reason)
        self._stop.wait(max(self._backoff.next(), error.retry_after))

    def succeeded(self) -> None:
        """The API server answered as it should."""
        self._trouble.end()

    def reset(self) -> None:
        """Things have gone well for a while: the next wait is a short one again."""
        self._backoff.reset()
