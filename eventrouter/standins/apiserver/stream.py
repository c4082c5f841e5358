"""One open watch: sends the changes of the store as a chunked body."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from eventrouter.standins.apiserver import objects
from eventrouter.standins.apiserver.changes import Change, Watch
from eventrouter.standins.apiserver.http import LAST_CHUNK, chunk
from eventrouter.standins.apiserver.selector import FieldSelector
from eventrouter.standins.standin import reset

# Go's net/http sends a body in chunks of this size (server.go, bufferBeforeChunkingSize), whose
# ends are not the ends of lines.
_CHUNK_BYTES = 2048


class Stream:
    """Sends a watch until its time is up, the client leaves or a fault ends it.

    The connection's thread calls `run`; other threads call the rest, to disturb it.
    """

    def __init__(
        self,
        connection: socket.socket,
        watch: Watch,
        *,
        selector: FieldSelector,
        pass_gate: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._watch = watch
        self._selector = selector
        self._pass_gate = pass_gate
        self._left: int | None = None  # bytes until the cut
        self._is_ended = False

    def run(self, *, seconds: float) -> None:
        """Send until the end, and the last chunk with it. Raises OSError for a lost connection."""
        threading.Thread(target=self._listen_for_the_end, daemon=True).start()
        end = time.monotonic() + seconds
        while not self._is_ended and (left := end - time.monotonic()) > 0:
            ready = self._watch.take(timeout=left)
            data = b"".join(self._line(item) for item in ready)
            pieces = range(0, len(data), _CHUNK_BYTES)
            self._write(b"".join(chunk(data[at : at + _CHUNK_BYTES]) for at in pieces))
        self._write(LAST_CHUNK)

    def inject(self, data: bytes) -> None:
        """Send these bytes after everything that has been written to the store so far."""
        self._watch.inject(data)

    def end(self) -> None:
        """End the watch with its last chunk, as a timeout does."""
        self._is_ended = True
        self._watch.inject(b"")

    def cut(self, *, after_bytes: int) -> None:
        """Reset the connection after so many more bytes."""
        self._left = after_bytes
        self._watch.inject(b"")

    def _line(self, change: Change | bytes) -> bytes:
        """The line of a change under the selector, which may be empty. Raw bytes stay as they are.

        An event that begins to match is ADDED. One that ceases to match is DELETED, with its last
        matching state (k8s.io/apiserver, pkg/storage/etcd3/watcher.go, transform).
        """
        if isinstance(change, bytes):
            return change
        if not self._selector.requirements:
            return change.line
        now = change.type != "DELETED" and self._selector.matches(change.item)
        before = change.previous is not None and self._selector.matches(change.previous)
        if now:
            return change._replace(type="MODIFIED" if before else "ADDED").line
        if before and change.previous is not None:
            gone = objects.with_version(change.previous, change.revision)
            return change._replace(type="DELETED", item=gone).line
        return b""

    def _write(self, data: bytes) -> None:
        self._pass_gate()
        if self._left is None:
            self._connection.sendall(data)
            return
        self._connection.sendall(data[: self._left])
        self._left -= len(data)
        if self._left <= 0:
            reset(self._connection)
            raise ConnectionResetError("cut, as planned")

    def _listen_for_the_end(self) -> None:
        """Cut the watch when the client leaves. A client sends nothing else during a watch."""
        try:
            gone = not self._connection.recv(1, socket.MSG_PEEK)
        except OSError:
            gone = True
        if gone:
            self.cut(after_bytes=0)
