"""A TCP relay: a link that can be cut, and one that can go silent without closing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tests.support.ports import free_port


class Relay:
    """Passes bytes between its own loopback port and `target`, another one.

    Silent, it keeps all connections open, takes new ones, answers the kernel's keepalives and
    passes not a byte in either direction: what came in meanwhile is passed on after `heal`.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self._passing = threading.Event()
        self._passing.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)

    def silence(self) -> None:
        """Pass nothing from now on."""
        self._passing.clear()

    def heal(self) -> None:
        """Pass what waits, and all that comes."""
        self._passing.set()

    def cut(self) -> None:
        """Close every connection; new ones are welcome."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.heal()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            for source, sink, pass_on in (
                (near, far, self.asking(far)),
                (far, near, self.answering(near)),
            ):
                arguments = (source, sink, pass_on)
                threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def asking(self, server: socket.socket) -> Callable[[bytes], None]:
        """How requests get to the server of one connection. May raise OSError to end it."""
        return server.sendall

    def answering(self, client: socket.socket) -> Callable[[bytes], None]:
        """How answers get to the client of one connection. May raise OSError to end it."""
        return client.sendall

    def _pump(
        self, source: socket.socket, sink: socket.socket, pass_on: Callable[[bytes], None]
    ) -> None:
        """One direction, until either end closes; then both directions end."""
        with suppress(OSError):
            while data := source.recv(65536):
                self._passing.wait()
                pass_on(data)
        self._passing.wait()
        for connection in (source, sink):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()


class ThinLink(Relay):
    """Passes so many bytes a second from the server, on each connection."""

    def __init__(self, target: int, *, bytes_a_second: float) -> None:
        super().__init__(target)
        self._bytes_a_second = bytes_a_second

    def answering(self, client: socket.socket) -> Callable[[bytes], None]:
        """As slowly as that."""

        def pass_on(data: bytes) -> None:
            time.sleep(len(data) / self._bytes_a_second)
            client.sendall(data)

        return pass_on
