"""/metrics, /livez, /readyz and the status page over HTTP."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client.exposition import choose_encoder

from eventrouter.errors import ConfigError
from eventrouter.ops import status
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            # Nobody but a scrape may take the first zero of a new series (capture/occurrences.py).
            is_scrape = self.command != "HEAD"
            body = encode(self.server.metrics.registry) if is_scrape else None
            self._answer(200, body, {"Content-Type": content_type})
        elif path == "/livez":
            self._verdict(self.server.health.ailing())
        elif path == "/readyz":
            health = self.server.health
            self._verdict(health.unready(), notes=health.notes())
        elif path == "/":
            self._answer(200, *status.page())
        else:
            self._answer(404, b"there are /, /metrics, /livez and /readyz\n", _TEXT)

    do_HEAD = do_GET

    def _verdict(self, complaints: list[str], *, notes: Sequence[str] = ()) -> None:
        text = "".join(f"{line}\n" for line in (*(complaints or ["ok"]), *notes))
        self._answer(503 if complaints else 200, text.encode(), _TEXT)

    def _answer(self, code: int, body: bytes | None, headers: Mapping[str, str]) -> None:
        """Without a body its length is not known, which only HEAD allows."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # HEAD is the same answer without its content (RFC 9110, section 9.3.2).
        if body is not None and self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: Health, metrics: Metrics) -> None:
        self.health = health
        self.metrics = metrics
        host, _ = address
        if ":" in host or (not host and socket.has_dualstack_ipv6()):
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            with suppress(OSError):  # a system may insist on one family a socket
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("A request was broken off: %s", sys.exception())


class HttpServer:
    """Serves on one address, IPv4 and IPv6 where the host is left open. Sleeps between requests."""

    def __init__(self, host: str, port: int, *, health: Health, metrics: Metrics) -> None:
        try:
            self._server = _Server((host, port), health, metrics)
        except (OSError, OverflowError) as error:
            raise ConfigError("--listen", f"cannot listen on {host}:{port}: {error}") from error
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on; of interest when 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._closing = True
        with suppress(OSError):  # a connection wakes it
            family = self._server.address_family
            host = self._server.server_address[0]
            wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}
            with socket.socket(family) as waker:
                waker.settimeout(1)
                waker.connect((wildcard.get(str(host), str(host)), self.port))
        self._thread.join(timeout=2)
        self._server.server_close()

    def _serve(self) -> None:
        # serve_forever would wake up twice a second to see whether it should stop.
        while not self._closing:
            self._server.handle_request()
