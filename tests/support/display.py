"""As much of a terminal as the demo uses: lines, colours, and a last line that is written anew."""

from __future__ import annotations

import re
from typing import NamedTuple

_PIECES = re.compile(
    r"(?P<line_feed>\n)|(?P<carriage_return>\r)|(?P<erase>\x1b\[K)|\x1b\[(?P<style>[0-9;]*)m"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
)
_BEGUN = re.compile(r"\x1b(\[[0-9;]*)?")


class Run(NamedTuple):
    """Text of one style: codes of Select Graphic Rendition, none for the default."""

    text: str
    style: str


class Display:
    """Interprets output. Raises ValueError for a control character that it does not know."""

    def __init__(self) -> None:
        self.lines: list[list[Run]] = []  # all that are complete, however many
        self.last: list[Run] = []  # where the cursor is
        self._style = ""
        self._is_at_start = False  # of a line that holds text
        self._begun = ""  # the part of a control sequence that has come

    @property
    def texts(self) -> list[str]:
        """The complete lines without their styles."""
        return ["".join(run.text for run in line) for line in self.lines]

    def feed(self, output: str) -> None:
        """Interpret more output, split anywhere."""
        output, self._begun = self._begun + output, ""
        at = 0
        while at < len(output):
            if _BEGUN.fullmatch(output, at):
                self._begun = output[at:]
                return
            piece = _PIECES.match(output, at)
            if piece is None:
                raise ValueError(f"an unknown control character in {output[at : at + 20]!r}")
            at = piece.end()
            if piece["line_feed"]:
                self.lines.append(self.last)
                self.last, self._is_at_start = [], False
            elif piece["carriage_return"]:
                self._is_at_start = bool(self.last)
            elif piece["erase"]:
                if self._is_at_start:
                    self.last, self._is_at_start = [], False
            elif piece["text"]:
                if self._is_at_start:
                    raise ValueError(f"{piece['text']!r} was written over {self.last}")
                self.last.append(Run(piece["text"], self._style))
            else:
                style = piece["style"] or ""
                self._style = "" if style in ("", "0") else style
