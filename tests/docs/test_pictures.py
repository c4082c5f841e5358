"""The pictures of the documentation: they need nothing but themselves, and show what is."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.pictures.animation import Frame, animation
from docs.pictures.record import COLUMNS, PICTURE, frames
from eventrouter.demo.table import Table
from tests.support.display import Run
from tests.support.terminal import Chunk

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted(PICTURE.parent.glob("*.svg"))


def texts(svg: str) -> list[str]:
    """What can be selected, line by line."""
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_has_a_title_and_two_colour_schemes_and_loads_nothing(path: Path) -> None:
    svg = path.read_text(encoding="utf-8")
    names = {element.tag for element in ElementTree.fromstring(svg).iter()}

    assert f"{SVG}title" in names
    assert "prefers-color-scheme: dark" in svg
    assert not names & {f"{SVG}{name}" for name in ("script", "image", "foreignObject", "use")}
    assert not re.search(r"url\((?!#)|href|@import|@font-face", svg)
    assert not re.search(r"(?<!xmlns=)\"https?:", svg)


def test_the_recording_shows_the_table_and_the_summary_of_today() -> None:
    """If not: `make recording`."""
    shown = texts(PICTURE.read_text(encoding="utf-8"))

    assert Table(COLUMNS, colour=False).header in [text.rstrip() for text in shown]
    assert any(re.match(r"\d\d:\d\d:\d\d Warning UPDATED +\d+ pod/", text) for text in shown)
    assert any("acknowledged  Ctrl-C stops" in text for text in shown)
    for name in ("captured", "sent", "acknowledged", "not sent"):
        assert any(re.match(rf" *{name} +\d+ ", text) for text in shown), name


def test_a_frame_is_what_the_terminal_shows_after_a_tenth_of_a_second() -> None:
    found = frames(
        [
            Chunk(5.00, "Sidecar: fluent-bit\r\n"),
            Chunk(5.51, "0:01  1 captured"),
            Chunk(5.52, "\r\x1b[K\x1b[33mWarning\x1b[0m Back"),
            Chunk(5.53, "Off\r\n0:02  2 captured\x1b["),
            Chunk(7.00, "K"),
        ]
    )

    prompt, sidecar = [Run("$ make run", "")], [Run("Sidecar: fluent-bit", "")]
    row = [Run("Warning", "33"), Run(" Back", ""), Run("Off", "")]
    progress = [Run("0:02  2 captured", "")]
    assert [(round(frame.seconds, 1), frame.lines, frame.last) for frame in found] == [
        (0.0, [prompt], []),
        (1.0, [prompt, sidecar], []),
        (1.5, [prompt, sidecar, row], progress),
        (3.0, [prompt, sidecar, row], progress),
    ]


def test_an_animation_begins_with_its_last_frame_and_moves_text_that_can_be_selected() -> None:
    lines = [[Run(f"line {number}  <&> ", ""), Run("Warning", "33")] for number in range(4)]

    svg = animation(
        [
            Frame(0.0, lines[:1], []),
            Frame(1.0, lines[:3], [Run("0:01", "")]),
            Frame(2.0, lines, []),
        ],
        columns=40,
        lines=4,
        title="A <test>",
    )

    assert texts(svg) == [*(f"line {number}  <&> Warning" for number in range(4)), "", "0:01"]
    assert '<tspan x="67.2">&lt;&amp;&gt; </tspan><tspan x="100.8" class="yellow">' in svg
    assert ".lines { transform: translateY(-20px)" in svg
    assert re.findall(r"([\d.%, ]+) { transform: translateY\((-?\d+)px\); }", svg) == [
        *((" 0%, 100%", "-20"), (" 75.00%", "40"), (" 87.50%", "0")),
        *((" 0%, 100%", "0"), (" 87.50%", "-20")),
    ]
