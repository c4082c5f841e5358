"""The base of both stand-ins: a listening socket, a thread for each connection, and waiting."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

_BACKLOG = 64
_END_SECONDS = 5.0  # for a thread to notice that its connection has ended


class StandIn(ABC):
    """A server at `tcp://host:port` or `unix:///path`, from its construction until `close`.

    With port 0 it takes a free one; `address` names it. `changed` is notified of everything that a
    test may wait for.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.changed = threading.Condition()
        self.connections: dict[socket.socket, threading.Thread] = {}
        self._ended: set[socket.socket] = set()  # the connections that we are about to close
        self._gate_is_shut = False
        self._accepting = threading.Event()
        self._accepting.set()
        self._listener: socket.socket | None = None
        self._reserved: socket.socket | None = None
        self.listen()

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Serve one connection, in a thread of its own, until either side ends it.

        You may raise OSError to end it. The socket is closed afterwards.
        """

    def wait_for(self, predicate: Callable[[], T], *, timeout: float = 30.0) -> T:
        """Wait until `predicate()` is true, and return its value. Raises TimeoutError.

        It is called again after every change.
        """
        with self.changed:
            value = self.changed.wait_for(predicate, timeout)
        if not value:
            raise TimeoutError(f"{self!r} did not get there within {timeout} s")
        return value

    def listen(self) -> None:
        """Accept connections: at the same address again, if that was ended by `refuse`."""
        if self._listener is not None:
            return
        listener = self._release() or _bind(self.address)
        self.address = _url(listener)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._listener = listener
        self._wake, woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, args=(listener, woken), daemon=True)
        self._acceptor.start()

    def refuse(self) -> None:
        """Act like a killed server: reset open connections and refuse new ones."""
        self._stop_listening()
        if self._reserved is None and not self.address.startswith("unix:"):
            # Hold the port, though nobody listens: otherwise the kernel may give it to a client
            # that keeps trying, as its own end, and the client connects to itself.
            self._reserved = _bind(self.address)
        self.reset()

    def hold(self) -> None:
        """Leave new connections in the backlog: connecting works, and nothing answers.

        `unhold` ends this, and so does the end of listening.
        """
        self._accepting.clear()

    def unhold(self) -> None:
        """Accept the connections that `hold` has left waiting."""
        self._accepting.set()

    def shut_gate(self) -> None:
        """Have each connection's thread wait when it reaches `pass_gate`."""
        self._gate_is_shut = True

    def open_gate(self) -> None:
        """Let the threads that wait at the gate continue."""
        with self.changing():
            self._gate_is_shut = False

    def pass_gate(self, connection: socket.socket) -> None:
        """Return once the gate is open. For `serve`. Raises OSError if the connection is ended."""
        if self._gate_is_shut:
            with self.changed:
                self.changed.wait_for(lambda: not self._gate_is_shut or connection in self._ended)
                if connection in self._ended:
                    raise ConnectionAbortedError("ended at the gate")

    def reset(self) -> None:
        """Reset every open connection, and wait until each has ended."""
        self._end_all(reset)

    def hang_up(self) -> None:
        """Shut every open connection down in order, and wait until each has ended."""
        self._end_all(lambda connection: _shut(connection, socket.SHUT_RDWR))

    def close(self) -> None:
        """Stop listening and end every connection, for good."""
        self._stop_listening()
        if reserved := self._release():
            reserved.close()
        self.hang_up()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock while you change what tests may wait for, and notify them."""
        with self.changed:
            yield
            self.changed.notify_all()

    def _end_all(self, end: Callable[[socket.socket], None]) -> None:
        with self.changing():
            threads = [
                thread
                for connection, thread in self.connections.items()
                if thread is not threading.current_thread()
            ]
            for connection in self.connections:
                end(connection)
            self._ended.update(self.connections)
        for thread in threads:
            thread.join(_END_SECONDS)

    def _release(self) -> socket.socket | None:
        reserved, self._reserved = self._reserved, None
        return reserved

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._wake.close()
        self._accepting.set()
        self._acceptor.join()  # from here on, no connection is accepted that a reset would miss
        listener.close()
        if listener.family == socket.AF_UNIX:
            os.unlink(urlsplit(self.address).path)

    def _accept(self, listener: socket.socket, woken: socket.socket) -> None:
        with woken, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                self._accepting.wait()
                if woken in ready or self._listener is None:
                    return
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue  # the client has left again
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                with self.changing():
                    self.connections[connection] = thread
                    thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.setblocking(True)
                if connection.family != socket.AF_UNIX:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.serve(connection)
            except OSError:
                pass  # expected: the client has left, or a fault has cut the connection
            finally:
                _shut(connection, socket.SHUT_RD)  # else another thread that reads keeps it open
                with self.changing():
                    del self.connections[connection]
                    self._ended.discard(connection)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def reset(connection: socket.socket) -> None:
    """Wake the thread that serves the connection, and have its close send a reset.

    Shutting down only the reading side wakes the thread and sends nothing.
    """
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass  # closed already
    _shut(connection, socket.SHUT_RD)


def _shut(connection: socket.socket, how: int) -> None:
    try:
        connection.shutdown(how)
    except OSError:
        pass  # closed already


def _bind(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        if os.path.exists(parts.path):
            os.unlink(parts.path)  # left over by a killed process
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(parts.path)
        return listener
    host, port = parts.hostname or "127.0.0.1", parts.port or 0
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _url(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return f"unix://{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
