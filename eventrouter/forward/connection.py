"""The forward connection: a socket that frames go into and acks come out of."""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from eventrouter.errors import AckMismatch, AckTimeout, ForwardError, PeerClosed
from eventrouter.forward.protocol import AckReader

_CONNECT_SECONDS = 10.0
# Also how long a paused Fluent Bit is waited for: it takes connections and answers nothing.
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
            raise ValueError("an address with a login, which this link does not have")
        if parts.scheme == "tcp" and parts.hostname and port and parts.path in ("", "/"):
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


class Link:
    """One connection. Any ForwardError means that it is of no more use.

    Acks come in the order of the frames. A wrong one would put every later one off by one, so
    the connection is given up at once, as Fluentd's out_forward does.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = AckReader()
        self._acks: deque[str] = deque()

    @classmethod
    def open(cls, address: Address) -> Link:
        """Connect. Raises ForwardError."""
        try:
            return cls(address.connect())
        except OSError as error:
            raise ForwardError(f"cannot connect to {address.url}: {error}") from error

    def send(self, frame: bytes) -> None:
        """Hand the bytes to the kernel."""
        self._connection.settimeout(ACK_SECONDS)
        try:
            self._connection.sendall(frame)
        except TimeoutError as error:
            raise AckTimeout(f"the receiver took nothing for {ACK_SECONDS:.0f} s") from error
        except OSError as error:
            raise PeerClosed(f"the receiver closed the connection: {error}") from error

    def await_ack(self, chunk: str, *, seconds: float | None = None) -> None:
        """Return when this chunk, the oldest on the way, is acked; ACK_SECONDS if not said."""
        seconds = ACK_SECONDS if seconds is None else seconds
        while not self._acks:
            self._connection.settimeout(seconds)
            try:
                data = self._connection.recv(65536)
            except TimeoutError as error:
                raise AckTimeout(f"no ack within {seconds:.0f} s") from error
            except OSError as error:
                raise PeerClosed(f"the receiver closed the connection: {error}") from error
            if not data:
                raise PeerClosed("the receiver closed the connection without an ack")
            self._acks.extend(self._reader.feed(data))
        if self._acks.popleft() != chunk:
            raise AckMismatch("the receiver acked another chunk than the one that is due")

    def shut(self) -> None:
        """End the connection from another thread: whoever waits on it gets a PeerClosed."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()
