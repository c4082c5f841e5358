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
_LINES_BESIDE_ROWS = 2  # the header and the progress
_FEWEST_ROWS = 10  # between two headers, however low the terminal is


class Output(Protocol):
    """Shows records, and how far the demo has come."""

    format: str

    def announce(self, text: str) -> None:
        """Show this line, which is no record."""

    def show(self, line: bytes) -> None:
        """Show one record, a line of JSON. Raises OSError once nobody reads any more."""

    def progress(self, text: str) -> None:
        """Show this in place of the previous progress. Empty text shows none."""


class JsonOutput:
    """Prints each record as its line of JSON, and nothing else: other lines go to stderr."""

    format = "json"

    def announce(self, text: str) -> None:
        print(text, file=sys.stderr)

    def show(self, line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def progress(self, text: str) -> None:
        pass


class TableOutput:
    """Prints a row for each record, and a header once a screenful and at each new width.

    `size` gives the terminal's columns and lines.
    """

    format = "table"

    def __init__(
        self,
        screen: Screen,
        *,
        colour: bool,
        has_progress: bool,
        size: Callable[[], tuple[int, int]],
    ) -> None:
        self._screen = screen
        self._colour = colour
        self._has_progress = has_progress
        self._size = size
        self._table: Table | None = None
        self._rows = 0  # since the last header

    def announce(self, text: str) -> None:
        with suppress(OSError):  # `show` reports a terminal that is gone
            self._screen.write(f"{text}\n")

    def show(self, line: bytes) -> None:
        table, header = self._table_with_header()
        try:
            row = table.row(orjson.loads(line))
        except orjson.JSONDecodeError:  # not a record, so it may be a message
            row = table.text(line.decode(errors="replace").rstrip())
        self._screen.write(f"{header}{row}\n")

    def progress(self, text: str) -> None:
        if self._has_progress:
            # One cell stays free for the cursor: some terminals start a new line after the last.
            columns, _ = self._size()
            with suppress(OSError):  # `show` reports a terminal that is gone
                self._screen.set_progress(fit(text, columns - 1).rstrip())

    def _table_with_header(self) -> tuple[Table, str]:
        """The table for the terminal as it is now, and its header if one is due."""
        columns, lines = self._size()
        table = self._table
        if table is None or table.width != columns:
            table = self._table = Table(columns, colour=self._colour)
        elif self._rows < max(lines - _LINES_BESIDE_ROWS, _FEWEST_ROWS):
            self._rows += 1
            return table, ""
        self._rows = 1
        return table, f"{table.header}\n"


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
            size=_terminal_size if is_terminal else _endless_size,
        )


def _terminal_size() -> tuple[int, int]:
    columns, lines = shutil.get_terminal_size(_NO_TERMINAL)
    return columns, lines


def _endless_size() -> tuple[int, int]:
    """A file has no screens: one header is enough."""
    return _terminal_size()[0], sys.maxsize
