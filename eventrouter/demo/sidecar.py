"""The demo's sidecar: the real Fluent Bit where there is one, else the receiver that stands in."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import orjson

from eventrouter.errors import ConfigError, EventrouterError
from eventrouter.standins.receiver.frames import EventTime
from eventrouter.standins.receiver.receiver import Receiver, Record

# The repository's fluent/: it is configuration, not part of the package.
CONFIG_FOLDER = Path(__file__).parents[2] / "fluent"

_START_SECONDS = 10.0
_STOP_SECONDS = 30.0


class Sidecar(Protocol):
    """Takes records at `url` and prints each as a line of JSON on standard output."""

    name: str
    url: str
    buffer_path: Path | None

    def stop(self) -> None: ...


def find_fluent_bit() -> str | None:
    """The program named by FLUENT_BIT, or `fluent-bit` on the PATH, if our config is there too."""
    program = shutil.which(os.environ.get("FLUENT_BIT") or "fluent-bit")
    return program if program and CONFIG_FOLDER.is_dir() else None


def start_sidecar(
    *, elasticsearch: str | None, folder: Path, on_gone: Callable[[], None]
) -> Sidecar:
    """Start one. `on_gone` is called if its output can go nowhere any more. Raises ConfigError."""
    program = find_fluent_bit()
    if program is not None:
        return FluentBit(program, elasticsearch=elasticsearch, folder=folder, on_gone=on_gone)
    if elasticsearch is not None:
        raise ConfigError(
            "--elasticsearch", "that is Fluent Bit's work, and there is no fluent-bit on the PATH"
        )
    return StandInSidecar(on_gone=on_gone)


class StandInSidecar:
    """The receiver of the forward protocol that the tests use too, printing what it takes."""

    name = "an embedded receiver (no fluent-bit on the PATH)"
    buffer_path: Path | None = None

    def __init__(self, *, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._receiver = Receiver(on_entry=self._print, keep=False)
        self.url = self._receiver.url

    def stop(self) -> None:
        """Take no more."""
        self._receiver.close()

    def _print(self, tag: str, time: EventTime, record: Record) -> None:
        try:
            sys.stdout.buffer.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self._on_gone()
            raise


class FluentBit:
    """The real Fluent Bit with the real config. It writes to our standard output and error."""

    def __init__(
        self,
        program: str,
        *,
        elasticsearch: str | None,
        folder: Path,
        on_gone: Callable[[], None],
    ) -> None:
        config = "stdout.yaml" if elasticsearch is None else "fluent-bit.yaml"
        port = _free_port()
        self.name = f"{program} with {CONFIG_FOLDER.name}/{config}"
        self.url = f"tcp://127.0.0.1:{port}"
        self.buffer_path: Path | None = folder / "buffers"
        environment = {
            "FORWARD_PORT": str(port),
            "BUFFER_PATH": str(self.buffer_path),
            "HTTP_SERVER": "off",
        }
        if elasticsearch is not None:
            environment |= elasticsearch_variables(elasticsearch)
        self._process = subprocess.Popen(
            [program, "--quiet", "-c", str(CONFIG_FOLDER / config)],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the watcher: the sidecar stops after it, as in a pod.
            start_new_session=True,
        )
        _wait_for(port, self._process)
        self._is_stopping = False
        self._waiter = threading.Thread(target=self._wait, args=(on_gone,), daemon=True)
        self._waiter.start()

    def stop(self) -> None:
        """Let it deliver what it can, then end it."""
        self._is_stopping = True
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._waiter.join()

    def _wait(self, on_gone: Callable[[], None]) -> None:
        self._process.wait()
        if not self._is_stopping:
            on_gone()


def elasticsearch_variables(url: str) -> Mapping[str, str]:
    """The ES_* variables of fluent/fluent-bit.yaml for a URL. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 9200)
    except ValueError as error:
        raise ConfigError("--elasticsearch", f"{url!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("--elasticsearch", f"{url!r} is no http:// or https:// URL")
    return {
        "ES_HOST": parts.hostname,
        "ES_PORT": str(port),
        "ES_PATH": parts.path.rstrip("/"),
        "ES_USER": unquote(parts.username or ""),
        "ES_PASSWORD": unquote(parts.password or ""),
        "ES_TLS": "on" if parts.scheme == "https" else "off",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    process.kill()
    raise EventrouterError("Fluent Bit did not start; its own messages are above")
