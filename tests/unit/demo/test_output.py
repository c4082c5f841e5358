"""When a table prints its header, and what it makes of lines that are no records."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest

from eventrouter.demo.output import JsonOutput, TableOutput, open_output
from eventrouter.demo.screen import Screen

RECORD = json.dumps({"verb": "ADDED", "event": {"reason": "Pulled"}}).encode() + b"\n"


class Terminal:
    """A terminal of any size, and an output on it."""

    def __init__(self, columns: int, lines: int, *, has_progress: bool = False) -> None:
        self.size = columns, lines
        self.stream = io.StringIO()
        self.output = TableOutput(
            Screen(self.stream), colour=False, has_progress=has_progress, size=lambda: self.size
        )

    @property
    def titles(self) -> list[str]:
        """The last word of each line: a title in a header."""
        return [line.split()[-1] for line in self.stream.getvalue().splitlines()]


def test_the_header_comes_again_once_a_screenful() -> None:
    terminal = Terminal(100, 14)

    for _ in range(25):
        terminal.output.show(RECORD)

    assert [at for at, title in enumerate(terminal.titles) if title == "MESSAGE"] == [0, 13, 26]


def test_the_header_comes_again_at_each_new_width_but_not_for_a_new_height() -> None:
    terminal = Terminal(100, 24)

    for size in ((100, 24), (100, 50), (39, 50), (100, 50)):
        terminal.size = size
        terminal.output.show(RECORD)

    assert terminal.titles == [
        *("MESSAGE", "Pulled", "Pulled", "REASON", "Pulled", "MESSAGE", "Pulled")
    ]


@pytest.mark.parametrize("line", [b"[error] no \x1b[31mJSON\n", b"\xff\n", b"\n"])
def test_a_line_that_is_no_record_is_shown_without_what_could_control_the_terminal(
    line: bytes,
) -> None:
    terminal = Terminal(100, 24)

    terminal.output.show(line)

    assert all(text.isprintable() for text in terminal.stream.getvalue().splitlines())
    assert len(terminal.stream.getvalue().splitlines()) == 2


def test_progress_leaves_a_cell_for_the_cursor() -> None:
    terminal = Terminal(20, 24, has_progress=True)

    terminal.output.progress("x" * 100)

    assert terminal.stream.getvalue() == "x" * 18 + "…"


def test_without_progress_there_is_none() -> None:
    terminal = Terminal(20, 24)

    terminal.output.progress("x")

    assert terminal.stream.getvalue() == ""


@pytest.mark.parametrize(
    ("wanted", "is_terminal", "output_type"),
    [
        (None, False, JsonOutput),
        (None, True, TableOutput),
        ("json", True, JsonOutput),
        ("table", False, TableOutput),
    ],
)
def test_the_format_is_the_wanted_one_else_it_depends_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, is_terminal: bool, output_type: type
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdout", stream)

    with open_output(wanted, {"TERM": "xterm"}) as output:
        assert isinstance(output, output_type)


@pytest.mark.parametrize(
    ("environment", "is_terminal", "has_colour"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "0"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm"}, False, False),
    ],
)
def test_colours_need_a_terminal_that_has_them_and_no_word_against_them(
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str],
    is_terminal: bool,
    has_colour: bool,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdout", stream)

    with open_output("table", environment) as output:
        output.show(RECORD)

    assert ("\x1b[" in stream.getvalue()) is has_colour
