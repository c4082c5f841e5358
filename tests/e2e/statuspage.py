"""The status page in a browser, and what it should show of a watcher's metrics."""

from __future__ import annotations

import json
from pathlib import Path

from tests.programs.browser import Browser
from tests.support.metrics import Samples
from tests.support.waiting import eventually

COUNTS = ("received", "sent", "acked", "delivered")
# A policy that is broken tells the page too, not only the console.
_NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


class StatusPage:
    """The page of the watcher at `url`, opened."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        browser.before_each_page(_NOTE_VIOLATIONS)
        browser.look_like()
        browser.open(f"{url}/")
        eventually(lambda: self.looks > 0, timeout=20, what="the first figures")

    @property
    def looks(self) -> int:
        """How often it has read the metrics."""
        return int(self._browser.evaluate("Number(document.body?.dataset.looks || 0)"))

    def look_again(self) -> None:
        """Wait until it has read the metrics once more, from the beginning."""
        seen = self.looks
        eventually(lambda: self.looks > seen + 1, timeout=20, what="newer figures")

    def figures(self) -> dict[str, str]:
        """What is written at each place, by its id, at one moment."""
        found: dict[str, str] = json.loads(
            self._browser.evaluate(
                "JSON.stringify(Object.fromEntries([...document.querySelectorAll('[id]')]"
                ".map((each) => [each.id, each.textContent.trim()])))"
            )
        )
        return found

    def counts(self) -> dict[str, int]:
        """The four totals."""
        figures = self.figures()
        return {name: int(figures[f"{name}-total"].replace(",", "")) for name in COUNTS}

    def violations(self) -> list[str]:
        """What the policy blocked, and what the console shows in red."""
        return [*self._browser.evaluate("violations"), *self._browser.complaints]

    def pictures(self, folder: Path, name: str) -> None:
        """As a light and a dark page, and on a phone."""
        for suffix, width, is_dark in (
            ("light", 1100, False), ("dark", 1100, True), ("phone", 375, False),
        ):  # fmt: skip
            self._browser.look_like(width=width, is_dark=is_dark)
            self._browser.picture(folder / f"{name}-{suffix}.png")

    def is_wider_than_the_window(self) -> bool:
        """Whether a reader would have to scroll sideways."""
        width = "document.documentElement.scrollWidth > innerWidth"
        return bool(self._browser.evaluate(width))


def expected(metrics: Samples) -> dict[str, str]:
    """The figures that do not age, from a watcher of which nothing changes."""

    def shown(name: str, **labels: str) -> str:
        return f"{metrics.total(f'eventrouter_{name}', **labels):,.0f}"

    def position(reached: str) -> str:
        return f"{metrics.total('eventrouter_position', namespace='', reached=reached):.0f}"

    return {
        **{f"{name}-total": shown(f"events_{name}_total") for name in COUNTS},
        "queued": shown("queue_events"),
        "in-flight": shown("events_in_flight"),
        "required-chunks": shown("buffer_chunks", outputs="required"),
        "optional-chunks": shown("buffer_chunks", outputs="optional"),
        "position--acked": position("acked"),
        "position--delivered": position("delivered"),
    }
