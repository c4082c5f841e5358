"""A program on a terminal of its own, and what a person sees there."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

# Makes standard input the controlling terminal: without one, /dev/tty is missing and Ctrl-C is
# only a character.
_ON_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
_CTRL_C = b"\x03"


class Chunk(NamedTuple):
    """Text that came out at once; `seconds` is the time since the start."""

    seconds: float
    text: str


class Terminal:
    """Runs a command on a terminal of `columns` and `lines` until it ends or is left."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 100,
        lines: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.chunks: list[Chunk] = []
        self._changed = threading.Condition()
        self._is_closed = False
        self._ours, theirs = os.openpty()
        self.resize(columns, lines)
        _keep_output_at_ctrl_c(theirs)
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, *command],
            env=_environment() | {"TERM": "xterm-256color"} | dict(environment or {}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All text so far, with its control characters."""
        return "".join(chunk.text for chunk in self.chunks)

    def resize(self, columns: int, lines: int = 24) -> None:
        """Change the size, which sends SIGWINCH."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press_ctrl_c(self) -> None:
        os.write(self._ours, _CTRL_C)

    def wait_for(self, pattern: str, *, timeout: float = 120.0) -> None:
        """Wait until the output matches a regular expression somewhere."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or re.search(pattern, self.output), timeout
            )
        if not re.search(pattern, self.output):
            raise AssertionError(f"{pattern!r} is not in the output:\n{self.output}")

    def wait(self, *, timeout: float = 120.0) -> int:
        """Wait until the command has ended. Its exit code."""
        code = self._process.wait(timeout)
        self._reader.join(timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # how Linux says that nobody has the other end open
                data = b""
            with self._changed:
                if not data:
                    self._is_closed = True
                else:
                    seconds = time.monotonic() - self._started
                    self.chunks.append(Chunk(seconds, decoder.decode(data)))
                self._changed.notify_all()
            if not data:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._process.terminate()
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        os.close(self._ours)


def _environment() -> dict[str, str]:
    """Ours, without what overrides a terminal's size and colours, or is for our own `make`."""
    foreign = ("COLUMNS", "LINES", "NO_COLOR", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _keep_output_at_ctrl_c(terminal: int) -> None:
    """Else the kernel discards what was written and not read yet, and no row could be counted."""
    attributes = termios.tcgetattr(terminal)
    attributes[3] |= termios.NOFLSH
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
