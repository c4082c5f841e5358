"""The whole watcher as a process of its own, with signals and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.numbers import Numbers, http_get
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """`python -m eventrouter` with these options. `patches` are constants set before it starts."""

    def __init__(
        self, directory: Path, *options: str, patches: Mapping[str, float] | None = None
    ) -> None:
        self.log_path = directory / "log"
        self.port = free_port()
        self.options = [*options, "--listen", f"127.0.0.1:{self.port}"]
        self._patches = patches or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        words = ["-m", "eventrouter"]
        if self._patches:
            lines = ["import sys", "from eventrouter.cli import main"]
            for name, value in self._patches.items():
                module, _, constant = name.rpartition(".")
                lines += [f"import {module}", f"assert {name}", f"{module}.{constant} = {value!r}"]
            words = ["-c", "\n".join([*lines, "sys.exit(main())"])]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *words, *self.options],
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self, *, timeout: float = 20.0) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s; {self.log()}") from None

    def log(self) -> str:
        return self.log_path.read_text()

    def numbers(self) -> Numbers:
        return Numbers(http_get(f"http://127.0.0.1:{self.port}/metrics")[1])

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def clean_environment() -> dict[str, str]:
    """The environment without anything that the watcher reads."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EVENTROUTER_", "KUBE"))
    } | {"PYTHONUNBUFFERED": "1"}


def run(*options: str, timeout: float = DEADLINE) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "eventrouter", *options],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
