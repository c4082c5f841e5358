"""The forward connection: chunks are written to its socket, and acks read from it."""

from __future__ import annotations

import base64
import os
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from eventrouter.errors import AckMismatch, AckTimeout, ForwardError, PeerClosed
from eventrouter.forward import protocol
from eventrouter.forward.protocol import AckReader

_CONNECT_SECONDS = 10.0
# A paused Fluent Bit takes connections and answers nothing for as long as it is paused.
ACK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the receiver listens: `tcp://host:port` or `unix:///path`."""

    url: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ValueError at anything else."""
        parts = urlsplit(url)
        port = parts.port
        if parts.username is not None or parts.password is not None:
            raise ValueError("an address with a login, which is not supported here")
        if parts.scheme == "tcp" and parts.hostname and port and parts.path in ("", "/"):
            try:
                parts.hostname.encode("idna")  # as a connection does
            except UnicodeError:
                raise ValueError(f"{parts.hostname!r} is no host's name") from None
            return cls(url=url, host=parts.hostname, port=port)
        if parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1:
            return cls(url=url, path=parts.path)
        raise ValueError("neither tcp://HOST:PORT nor unix:///PATH")

    def connect(self) -> socket.socket:
        """A connected socket. Raises OSError."""
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(_CONNECT_SECONDS)
            try:
                connection.connect(self.path)
            except OSError:
                connection.close()
                raise
            return connection
        connection = socket.create_connection((self.host, self.port), timeout=_CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


class Connection:
    """One connection to the receiver. Close it after any ForwardError.

    Acks come in the order of the chunks. A wrong one would shift every later one, so the sender
    gives up the connection at once, as Fluentd's out_forward does.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader = AckReader()
        self._acks: deque[str] = deque()

    @classmethod
    def open(cls, address: Address) -> Connection:
        """Connect. Raises ForwardError."""
        try:
            return cls(address.connect())
        except OSError as error:
            raise ForwardError(f"cannot connect to {address.url}: {error}") from error

    def send(self, chunk: bytes) -> None:
        """Hand a chunk to the kernel. Raises ForwardError."""
        self._socket.settimeout(ACK_SECONDS)
        try:
            self._socket.sendall(chunk)
        except TimeoutError as error:
            raise AckTimeout(f"the receiver took nothing for {ACK_SECONDS:.0f} s") from error
        except OSError as error:
            raise PeerClosed(f"the receiver closed the connection: {error}") from error

    def await_ack(self, chunk_id: str, *, seconds: float | None = None) -> None:
        """Return when this chunk, the oldest on the way, is acked; ACK_SECONDS if not said.

        Raises ForwardError.
        """
        seconds = ACK_SECONDS if seconds is None else seconds
        while not self._acks:
            self._socket.settimeout(seconds)
            try:
                data = self._socket.recv(65536)
            except TimeoutError as error:
                raise AckTimeout(f"no ack within {seconds:.0f} s") from error
            except OSError as error:
                raise PeerClosed(f"the receiver closed the connection: {error}") from error
            if not data:
                raise PeerClosed("the receiver closed the connection without an ack")
            self._acks.extend(self._reader.feed(data))
        if self._acks.popleft() != chunk_id:
            raise AckMismatch("the receiver acked another chunk than the one that is due")

    def ping(self, tag: str, *, seconds: float | None = None) -> None:
        """Have a chunk without entries acked: it proves the connection and outputs nothing.

        Only while no other chunk waits for its ack. Raises ForwardError.
        """
        chunk_id = random_chunk_id()
        self.send(protocol.encode(tag, (), chunk_id=chunk_id))
        self.await_ack(chunk_id, seconds=seconds)

    def shut(self) -> None:
        """End the connection from another thread: a thread that waits on it gets a PeerClosed."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def random_chunk_id() -> str:
    """128 random bits in base64, as Fluentd's out_forward makes them."""
    return base64.b64encode(os.urandom(16)).decode()
