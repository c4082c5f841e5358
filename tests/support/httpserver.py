"""An HTTP server on loopback, to stand between two programs or at the end of a line."""

from __future__ import annotations

import ssl
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Exchange(BaseHTTPRequestHandler):
    """One connection; while a request is handled, that request and the way to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms

    def body(self) -> bytes:
        """The body of the request. To be called once, if it has one."""
        return self.rfile.read(int(self.headers["Content-Length"]))

    def reply(self, status: int, body: bytes = b"", *, content_type: str = "") -> None:
        """Answer the request."""
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class HttpServer(ABC):
    """Serves while its `with` block runs, each connection in a thread of its own. On any free port,
    unless one is named.
    """

    def __init__(self, *, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        serve = self.serve

        class Handler(Exchange):
            def do_GET(self) -> None:
                serve(self)

            def do_POST(self) -> None:
                serve(self)

            def do_PUT(self) -> None:
                serve(self)

            def do_DELETE(self) -> None:
                serve(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if context is not None:
            # The handshake is left to the connection's thread: a slow client must not stop others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._server.server_address[1])

    @abstractmethod
    def serve(self, exchange: Exchange) -> None:
        """Answer one GET, POST or PUT. Several threads call this at once."""

    def __enter__(self) -> Self:
        # Often enough that no test waits half a second for the end.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
