"""The status page: one page, and what its policy lets it do."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import get_args

import pytest

from eventrouter.errors import ApiReason, BufferReason, ForwardReason
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.status import page

# The elements that may load something, and by which attribute.
LOADING = {"src", "href", "srcset", "data", "action", "formaction", "style"}


class Page(HTMLParser):
    """What is in the page: the texts of its inline elements, all attributes and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: dict[str, list[str]] = {"style": [], "script": []}
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self._open = ""
        self.feed(page()[0].decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inline:
            self.inline[self._open].append(data)


def policy() -> dict[str, list[str]]:
    directives = page()[1]["Content-Security-Policy"].split(";")
    return {name: sources for name, *sources in map(str.split, directives)}


def test_nothing_is_allowed_but_its_own_script_and_style_and_to_ask_its_own_server() -> None:
    inline = Page().inline
    hashes = {
        tag: base64.b64encode(hashlib.sha256("".join(texts).encode()).digest()).decode()
        for tag, texts in inline.items()
    }

    assert policy() == {
        "default-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
        "connect-src": ["'self'"],
        "style-src": [f"'sha256-{hashes['style']}'"],
        "script-src": [f"'sha256-{hashes['script']}'"],
    }


def test_it_is_one_page_that_loads_nothing() -> None:
    """Links to /metrics and /readyz are for people."""
    found = {
        (tag, value)
        for tag, name, value in Page().attributes
        if name in LOADING or name.startswith("on")
    }

    assert found == {("a", "metrics"), ("a", "readyz")}
    assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", page()[0])


@pytest.mark.parametrize("sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"])
def test_what_it_reads_is_shown_as_text_only(sink: str) -> None:
    assert sink not in "".join(Page().inline["script"])


def test_no_browser_guesses_or_keeps_it() -> None:
    _, headers = page()

    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_every_figure_of_the_script_has_its_place() -> None:
    parsed = Page()
    named = set(re.findall(r"(?:show|showAge|at)\(\"([a-z-]+)\"", "".join(parsed.inline["script"])))

    assert named
    assert named <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))


def test_every_metric_that_the_script_asks_for_is_there() -> None:
    metrics = Metrics()
    metrics.show_positions(acked={"": "1"})
    metrics.events_contact.labels("").set(1)
    names = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    script = "".join(Page().inline["script"])
    asked = set(re.findall(r"(?:value|select)\(samples, \"(\w+)\"", script))
    asked |= set(re.findall(r"\[\"(\w+_total)\", \{", script))

    assert len(asked) > 10
    assert {name for name in asked if name != "process_start_time_seconds"} <= {
        name.removeprefix("eventrouter_") for name in names
    }


def test_every_error_has_words() -> None:
    script = "".join(Page().inline["script"])
    for reasons in (ApiReason, BufferReason, ForwardReason):
        for reason in get_args(reasons):
            assert re.search(rf"\b{reason}: \"", script), reason
