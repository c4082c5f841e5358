"""The demo's sidecar: Fluent Bit if it is on the PATH, otherwise the stand-in for it."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Protocol

from eventrouter.demo.fluentbit import CONFIG_FOLDER, FluentBit, Show
from eventrouter.errors import ConfigError
from eventrouter.standins.apiserver.encoding import encode
from eventrouter.standins.receiver.frames import EventTime
from eventrouter.standins.receiver.receiver import Receiver, Record


class Sidecar(Protocol):
    """Takes records at `url` and shows each of them. Sets `stop` once it can show nothing more."""

    name: str
    url: str
    buffer_path: Path | None

    def wait_until_up(self) -> None:
        """Return once it takes connections. Raises EventrouterError if that fails."""

    def stop(self) -> None:
        """Show what was taken, then end."""

    def kill(self) -> None:
        """End at once, without waiting for anything. For a signal handler."""


def find_fluent_bit() -> str | None:
    """The program that FLUENT_BIT names, or `fluent-bit` on the PATH; None without our config."""
    program = shutil.which(os.environ.get("FLUENT_BIT") or "fluent-bit")
    return program if program and CONFIG_FOLDER.is_dir() else None


def start_sidecar(
    *, elasticsearch: str | None, folder: Path, show: Show, stop: threading.Event
) -> Sidecar:
    """Start Fluent Bit, or the stand-in for it. Raises ConfigError."""
    program = find_fluent_bit()
    if program is not None:
        return FluentBit(program, elasticsearch=elasticsearch, folder=folder, show=show, stop=stop)
    if elasticsearch is not None:
        raise ConfigError(
            "--elasticsearch", "only Fluent Bit can write there, and none is on the PATH"
        )
    return StandInSidecar(show=show, stop=stop)


class StandInSidecar:
    """The receiver that the tests use, in this process."""

    name = "a built-in receiver (no fluent-bit on the PATH)"
    buffer_path: Path | None = None

    def __init__(self, *, show: Show, stop: threading.Event) -> None:
        self._show = show
        self._stop = stop
        self._receiver = Receiver(on_entry=self._take, keep=False)
        self.url = self._receiver.url

    def wait_until_up(self) -> None:
        """It listens from its construction on."""

    def stop(self) -> None:
        self._receiver.close()

    def kill(self) -> None:
        """It ends with this process."""

    def _take(self, tag: str, time: EventTime, record: Record) -> None:
        try:
            self._show(encode(record) + b"\n")
        except OSError:
            self._stop.set()  # and take what still comes, so that the watcher can end at once
