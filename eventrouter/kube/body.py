"""The body of a watch: read as it arrives, with as few wake-ups as possible."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from io import BufferedReader

import urllib3

# From one round through all threads to the next, at least: each costs the same, whether it carries
# one event or fifty. A lone event waits for nothing. Little beside the seconds that Fluent Bit's
# flush and Elasticsearch's refresh take, and the reason why batches need not wait again
# (forward/pacing.py).
REST_SECONDS = 0.9
# So much ends a rest early: from some 150 events a second on, before its time does.
_REST_BYTES = 128 * 1024
_READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 4096


class Body:
    """The body of an answer that goes on for long. For one thread. Use as a context manager.

    Reads the connection itself: urllib3 takes the chunks one by one, and a busy API server sends
    each event or two in a chunk of their own.
    """

    def __init__(
        self, response: urllib3.BaseHTTPResponse, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._response = response
        self._now = now
        self._rests_until = float("-inf")
        self._poll = select.poll()
        self._poll.register(response.fileno(), select.POLLIN)
        self._socket = socket.fromfd(response.fileno(), socket.AF_INET, socket.SOCK_STREAM)

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def pieces(self) -> Iterator[bytes]:
        """The body's bytes, as they come. Raises urllib3's errors, or OSError."""
        stream: BufferedReader | None = getattr(
            getattr(self._response, "_fp", None), "fp", None
        )  # what http.client reads from; urllib3 has no public name for it
        if stream is None or not getattr(self._response, "chunked", False):
            # Some proxies undo the chunks. `stream` would wait for the end.
            while data := self._response.read1(_READ_BYTES, decode_content=False):
                yield data
            return
        chunks = Dechunker()
        while not chunks.is_over:
            data = stream.read1(_READ_BYTES)
            if not data:
                raise urllib3.exceptions.ProtocolError("Response ended prematurely")
            yield chunks.feed(data)

    def is_more_there(self) -> bool:
        """Whether more has arrived. Does not wait."""
        return bool(self._poll.poll(0))

    def rest(self) -> bool:
        """Let more arrive until the next round is due, or until there is much, or the end.

        The next round is due REST_SECONDS after the last rest. Returns whether more has arrived.
        """
        seconds = self._rests_until - self._now()
        is_more_there = seconds > 0 and self._wait_for_much(seconds)
        self._rests_until = self._now() + REST_SECONDS
        return is_more_there

    def _wait_for_much(self, seconds: float) -> bool:
        """Wait for so long at most. Whether anything came."""
        self._wake_at(_REST_BYTES)
        try:
            self._poll.poll(seconds * 1000)
        finally:
            self._wake_at(1)
        return self.is_more_there()

    def _wake_at(self, size: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


class Dechunker:
    """HTTP's chunked transfer coding (RFC 9112, section 7.1) undone, however it arrives. Pure."""

    def __init__(self) -> None:
        self._head = b""  # of the next chunk, as far as it has come
        self._left = 0  # of the content of a chunk
        self._head_begins = 0  # after the end of the line that ends the chunk before
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        """The content of what arrived. Raises ProtocolError."""
        if self._head:
            data = self._head + data
        contents = []
        at = 0
        while not self.is_over:
            if self._left:
                content = data[at : at + self._left]
                contents.append(content)
                at += len(content)
                self._left -= len(content)
            end = data.find(b"\r\n", at + self._head_begins)
            if self._left or end < 0:
                break
            self._left = _length(data[at:end])
            self._head_begins = 2
            self.is_over = not self._left
            at = end + 2
        self._head = data[at:]
        if len(self._head) > _MAX_HEAD_BYTES:
            raise urllib3.exceptions.ProtocolError("a chunk's head without end")
        return b"".join(contents)


def _length(head: bytes) -> int:
    """How long a chunk is, by its head: hexadecimal, and what follows a semicolon is nothing to us.

    Raises ProtocolError.
    """
    try:
        length = int(head.partition(b";")[0], 16)
    except ValueError:
        length = -1
    if length < 0:
        raise urllib3.exceptions.ProtocolError(f"not the head of a chunk: {head[:40]!r}")
    return length
