"""What may stand before a server: TLS, and a proxy that is asked for a tunnel."""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.support.authority import Certificate


class _Front(socketserver.ThreadingTCPServer, ABC):
    """Listens while its `with` block runs. `serve` gets each connection, in a thread of its own."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, *, port: int = 0) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        self.port = int(self.server_address[1])

    @abstractmethod
    def serve(self, connection: socket.socket) -> None: ...

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):  # the client is gone, or refuses us
            self.serve(request)

    def pass_bytes(self, near: socket.socket, far: socket.socket) -> None:
        """Both ways, until either end closes."""
        self._open |= {near, far}
        with near, far:
            while True:
                has_more = isinstance(near, ssl.SSLSocket) and near.pending()
                for source in [near] if has_more else select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (far if source is near else near).sendall(data)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Be gone, with all connections. May be called again."""
        if self.fileno() != -1:
            self.shutdown()
            self.server_close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class TlsFront(_Front):
    """Takes TLS off the connections to a plain server at `target`, a loopback port.

    With `client_ca` only its clients get in. `names` are the server's names that clients asked for,
    `clients` the common names of their certificates.
    """

    def __init__(
        self,
        target: int,
        certificate: Certificate,
        *,
        client_ca: Path | None = None,
        port: int = 0,
    ) -> None:
        self._target = target
        self._context = certificate.server_context()
        self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        if client_ca:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(client_ca)
        self.names: list[str | None] = []
        self.clients: list[str] = []
        super().__init__(port=port)
        self.url = f"https://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as near:
            subject: Any = (near.getpeercert() or {}).get("subject", ())
            self.clients += [value for ((key, value),) in subject if key == "commonName"]
            self.pass_bytes(near, socket.create_connection(("127.0.0.1", self._target)))


class TunnelProxy(_Front):
    """An HTTP proxy, as far as CONNECT goes. `targets` are the hosts that it was asked for.

    All tunnels lead to the loopback ports that their targets name: no name is looked up.
    """

    def __init__(self) -> None:
        self.targets: list[str] = []
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb", buffering=0) as reader:
            method, target, _ = reader.readline().decode().split()
            while reader.readline().strip():
                pass
        assert method == "CONNECT"
        self.targets.append(target)
        far = socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2])))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        self.pass_bytes(connection, far)
