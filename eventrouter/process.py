"""What commands of ours have in common: exit codes, how they tell a mistake, how they stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from typing import NoReturn

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_BAD_SETTING = 0, 1, 2


class Parser(argparse.ArgumentParser):
    """An argument parser that tells a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """One line, not the usage and a line: the line is what a log keeps."""
        self.exit(EXIT_BAD_SETTING, f"{self.prog}: {message}; see {self.prog} --help\n")


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set. The second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(EXIT_FAILED)
        log.info("Stopping on %s", signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop
