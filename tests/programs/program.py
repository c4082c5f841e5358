"""What every real program has in common: start, wait until it serves, stop, kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self


class ProgramError(Exception):
    """A program did not do what a test needs; the message ends with the tail of its log."""


class Program(ABC):
    """One process in a folder of its own, logging to a file there.

    Ports, data and settings belong to the object: after `kill` or `stop`, `start` brings the same
    one back. Not thread-safe: start it from the main thread, since it is made to die with the
    thread that started it.
    """

    name = "program"
    ready_seconds = 60.0
    stop_seconds = 30.0
    output_path: Path | None = None  # where its standard output goes, if not into the log

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log_path = directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    def environment(self) -> Mapping[str, str]:
        """Variables on top of the inherited ones."""
        return {}

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves. Asked until it says so; must not raise."""

    @property
    def pid(self) -> int:
        """The process, dead or alive; an error if there never was one."""
        if self._process is None:
            raise ProgramError(f"{self.name} was never started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """As subprocess has it: negative for a signal, None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self, *, wait: bool = True) -> Self:
        """Start it and, unless told not to, wait until it serves.

        Raises ProgramError with the end of the log if it ends or does not serve in time.
        """
        if self.is_running:
            raise ProgramError(f"{self.name} runs already")
        self.directory.mkdir(parents=True, exist_ok=True)
        with (
            self.log_path.open("ab") as log,
            (self.output_path or self.log_path).open("ab") as output,
        ):
            self._process = subprocess.Popen(
                [*_die_with_parent(), *self.command()],
                cwd=self.directory,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until it serves; raises ProgramError if it ends first or takes too long."""
        deadline = time.monotonic() + self.ready_seconds
        while not self.is_ready():
            if not self.is_running:
                raise ProgramError(f"{self.name} ended with {self.exit_code}{self.log_tail()}")
            if time.monotonic() >= deadline:
                self.kill()
                raise ProgramError(
                    f"{self.name} did not serve within {self.ready_seconds:g} s{self.log_tail()}"
                )
            time.sleep(0.05)

    def stop(self) -> int:
        """SIGTERM, and the exit code. One that does not end in time is killed: ProgramError."""
        if self._process is None or self._process.poll() is not None:
            return self.exit_code or 0
        self._process.terminate()
        try:
            return self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProgramError(
                f"{self.name} did not end within {self.stop_seconds:g} s of SIGTERM"
                + self.log_tail()
            ) from None

    def kill(self) -> None:
        """SIGKILL, and wait for the end. Nothing happens if it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop and start on the same ports and data."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: alive for the kernel, dead for its peers, as behind a broken link."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: undo `freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def memory_bytes(self) -> int:
        """Resident memory, from /proc."""
        return self._status_bytes("VmRSS")

    def peak_memory_bytes(self) -> int:
        """The most that its resident memory ever was, from /proc."""
        return self._status_bytes("VmHWM")

    def _status_bytes(self, field: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise ProgramError(f"{self.name} has no memory: it is not running")

    def log_tail(self, lines: int = 25) -> str:
        """The end of the log, ready to be put behind an error message."""
        try:
            tail = self.log_path.read_text(errors="replace").splitlines()[-lines:]
        except OSError:
            tail = []
        return "\n".join([f"; the end of {self.log_path}:", *tail])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        # Nobody wants the data: a kill is quick, and works on what a test left frozen.
        self.kill()


def _die_with_parent() -> list[str]:
    """A prefix that has the kernel end the program when the test run is killed (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
