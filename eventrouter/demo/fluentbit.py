"""The real Fluent Bit as the demo's sidecar, with the config in fluent/."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from eventrouter.demo.cells import escape
from eventrouter.errors import ConfigError, EventrouterError

# The repository's fluent/: it is configuration, not part of the package.
CONFIG_FOLDER = Path(__file__).parents[2] / "fluent"

_PORTS = range(20_000, 32_000)
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_JOIN_SECONDS = 5.0

# Fluent Bit's answers to the SIGTERM that `stop` sends: expected, so not shown.
_FAREWELLS = "caught signal (SIGTERM)", "service will shutdown in max"

# Shows a record, given as the line of JSON that `kubectl logs` has. Raises OSError.
Show = Callable[[bytes], None]


class FluentBit:
    """A process that shows each record that it prints, and its messages on standard error.

    Raises ConfigError for a URL that is none.
    """

    def __init__(
        self,
        program: str,
        *,
        elasticsearch: str | None,
        folder: Path,
        show: Show,
        stop: threading.Event,
    ) -> None:
        config = "stdout.yaml" if elasticsearch is None else "fluent-bit.yaml"
        port = _free_port()
        self.name = f"{Path(program).name} with {CONFIG_FOLDER.name}/{config}"
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
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C is for the watcher: the sidecar stops after it, as in a pod.
            start_new_session=True,
        )
        self._stop = stop
        self._port = port
        self._is_stopping = False
        assert self._process.stdout
        assert self._process.stderr
        self._threads = [
            threading.Thread(target=work, args=arguments, daemon=True)
            for work, *arguments in (
                (self._relay, self._process.stdout, show),
                (self._relay, self._process.stderr, _show_message),
                (self._watch,),
            )
        ]
        for thread in self._threads:
            thread.start()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and not self._stop.wait(0.05):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
        is_told_to_stop = self._stop.is_set() and self._process.poll() is None
        self.kill()
        self._join()
        if is_told_to_stop:
            raise EventrouterError("stopped before Fluent Bit was up")
        raise EventrouterError("Fluent Bit did not start; its own messages are above")

    def stop(self) -> None:
        """Have it print what it has taken, then end it."""
        self._is_stopping = True
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._join()

    def kill(self) -> None:
        self._process.kill()

    def _join(self) -> None:
        """Wait until everything is shown; not for ever, since others may hold the pipes open."""
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _relay(self, lines: IO[bytes], show: Show) -> None:
        """Show line after line. Once that fails, read on: else Fluent Bit could not end."""
        with lines:
            for line in lines:
                try:
                    show(line)
                except OSError:
                    self._stop.set()

    def _watch(self) -> None:
        self._process.wait()
        if not self._is_stopping:
            self._stop.set()


def elasticsearch_variables(url: str) -> Mapping[str, str]:
    """The ES_* variables of fluent/fluent-bit.yaml for a URL. Raises ConfigError."""
    shown = "it" if "@" in url else repr(url)  # there may be a password before an @
    mistake = ConfigError("--elasticsearch", f"{shown} is no http:// or https:// URL")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 9200)
    except ValueError:
        raise mistake from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise mistake
    return {
        "ES_HOST": parts.hostname,
        "ES_PORT": str(port),
        "ES_PATH": parts.path.rstrip("/"),
        "ES_USER": unquote(parts.username or ""),
        "ES_PASSWORD": unquote(parts.password or ""),
        "ES_TLS": "on" if parts.scheme == "https" else "off",
    }


def _free_port() -> int:
    """A port on loopback, outside the ranges that systems take for outgoing connections."""
    while True:
        port = random.choice(_PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _show_message(line: bytes) -> None:
    """Print a message of Fluent Bit, which may quote what somebody wrote into an event."""
    message = line.decode(errors="replace").rstrip()
    if not any(farewell in message for farewell in _FAREWELLS):
        with suppress(OSError):  # the demo goes on without its messages, but not without records
            print(escape(message), file=sys.stderr)
