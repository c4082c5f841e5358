"""What the watcher answers over HTTP."""

from __future__ import annotations

import urllib.error
import urllib.request

from tests.support.metrics import Samples
from tests.support.waiting import DEADLINE


def http_get(url: str) -> tuple[int, str]:
    """The status and the text."""
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Numbers(Samples):
    """One reading of the watcher's /metrics, by names without `eventrouter_` and `_total`."""

    def __call__(self, name: str, **labels: str) -> int:
        name = f"eventrouter_{name}"
        return round(self.total(name, **labels) + self.total(f"{name}_total", **labels))

    def add_up(self) -> bool:
        """The two identities that dashboards rely on."""
        return self("events_received") == (
            self("events_sent") + self("events_discarded") + self("queue_events")
        ) and self("events_sent") == (
            self("events_acked") + self("events_abandoned") + self("events_in_flight")
        )
