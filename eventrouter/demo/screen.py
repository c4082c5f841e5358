"""A terminal on which lines scroll above one line of progress, which stays at the bottom."""

from __future__ import annotations

import threading
from typing import TextIO

# Carriage return and Erase in Line (ECMA-48).
_ERASE_LINE = "\r\x1b[K"


class Screen:
    """Writes to a terminal. A text stream, so that logs can go here too. Safe for any threads.

    Each write takes the line of progress away, and puts it back behind the last whole line. Raises
    OSError once the terminal is gone.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self._progress = ""
        self._is_progress_shown = False
        self._is_line_open = False

    def write(self, text: str) -> int:
        """Write this text, one or more lines or a part of one."""
        with self._lock:
            if text:
                self._is_line_open = not text.endswith("\n")
                self._show(text)
        return len(text)

    def flush(self) -> None:
        """For the protocol of text streams: nothing here is held back."""

    def set_progress(self, line: str) -> None:
        """Show this at the bottom from now on. It must be narrower than the terminal."""
        with self._lock:
            self._progress = line
            self._show("")

    def _show(self, text: str) -> None:
        parts = [_ERASE_LINE, text] if self._is_progress_shown else [text]
        self._is_progress_shown = bool(self._progress) and not self._is_line_open
        if self._is_progress_shown:
            parts.append(self._progress)
        self._terminal.write("".join(parts))
        self._terminal.flush()
