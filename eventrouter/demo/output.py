"""Where the demo prints its records: a table on a terminal, lines of JSON for a program."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from typing import Protocol, TextIO, cast

import orjson

from eventrouter.demo.cells import fit
from eventrouter.demo.screen import Screen
from eventrouter.demo.table import Table

FORMATS = ("table", "json")

_NO_TERMINAL = 120, 24  # columns and lines, if neither a terminal nor COLUMNS gives them


class Output(Protocol):
    """Shows records, and how far the demo has come."""

    format: str

    def show(self, line: bytes) -> None:
        """Show one record, a line of JSON. Raises OSError once nobody reads any more."""

    def progress(self, text: str) -> None:
        """Show this in place of the previous progress. Empty text shows none."""


class JsonOutput:
    """Prints each record as its line of JSON, and nothing else."""

    format = "json"

    def show(self, line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def progress(self, text: str) -> None:
        pass


class TableOutput:
    """Prints a row for each record, and a header whenever the width of the terminal changes."""

    format = "table"

    def __init__(
        self, screen: Screen, *, colour: bool, has_progress: bool, width: Callable[[], int]
    ) -> None:
        self._screen = screen
        self._colour = colour
        self._has_progress = has_progress
        self._width = width
        self._table: Table | None = None

    def show(self, line: bytes) -> None:
        header, table = "", self._table
        width = self._width()
        if table is None or table.width != width:
            table = self._table = Table(width, colour=self._colour)
            header = f"{table.header}\n"
        try:
            row = table.row(orjson.loads(line))
        except orjson.JSONDecodeError:  # not a record, so it may be a message
            row = table.text(line.decode(errors="replace").rstrip())
        self._screen.write(f"{header}{row}\n")

    def progress(self, text: str) -> None:
        if self._has_progress:
            # One cell stays free for the cursor: some terminals start a new line after the last.
            line = fit(text, self._width() - 1).rstrip()
            with suppress(OSError):  # a terminal that is gone is noticed by `show`
                self._screen.set_progress(line)


@contextmanager
def open_output(wanted: str | None, environment: Mapping[str, str]) -> Iterator[Output]:
    """The output of the wanted format; by default a table if standard output is a terminal.

    If standard error is the same terminal, what is printed there goes through the table's screen.
    """
    is_terminal = sys.stdout.isatty()
    if (wanted or ("table" if is_terminal else "json")) == "json":
        yield JsonOutput()
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every encoding has every character
    obeys_escapes = is_terminal and environment.get("TERM", "dumb") != "dumb"
    screen = Screen(sys.stdout)
    with ExitStack() as stack:
        if is_terminal and sys.stderr.isatty() and os.path.sameopenfile(1, 2):
            stack.enter_context(redirect_stderr(cast(TextIO, screen)))
        yield TableOutput(
            screen,
            colour=obeys_escapes and not environment.get("NO_COLOR"),  # https://no-color.org
            has_progress=obeys_escapes,
            width=lambda: shutil.get_terminal_size(_NO_TERMINAL).columns,
        )
