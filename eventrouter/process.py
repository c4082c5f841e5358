"""What commands of ours have in common: exit codes, how they tell a mistake, how they stop."""

from __future__ import annotations

import _thread
import argparse
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_BAD_SETTING = 0, 1, 2


class Parser(argparse.ArgumentParser):
    """An argument parser that tells a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """One line, not the usage and a line: the line is what a log keeps."""
        self.exit(EXIT_BAD_SETTING, f"{self.prog}: {message}; see {self.prog} --help\n")


def end_on_signal() -> None:
    """Have SIGTERM and SIGINT end the process where it is: for as long as nothing has begun."""

    def handle(number: int, frame: FrameType | None) -> None:
        log.info("Stopping on %s", signal.Signals(number).name)
        raise SystemExit(EXIT_OK)

    _on_signal(handle)


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set. The second one ends the process at once."""
    stop = threading.Event()
    has_come = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal has_come
        if has_come or stop.is_set():
            os._exit(EXIT_FAILED)
        has_come = True
        log.info("Stopping on %s", signal.Signals(number).name)
        # Not in this thread: the signal may have come while it held the event's lock.
        _thread.start_new_thread(stop.set, ())

    _on_signal(handle)
    return stop


def _on_signal(handle: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
