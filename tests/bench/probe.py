"""A link between watcher and sidecar that sees when a state is acknowledged, or slows it down."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from eventrouter.demo.frames import FrameReader
from eventrouter.forward import AckReader

_STAMP = re.compile(r"\((\d+)\)$")


class Probe:
    """Passes frames one way and acks the other, on a loopback port of its own.

    `latencies` holds, for each record, the seconds from the making of its state to its ack.
    `most_a_second` holds back frames so that no more records pass than that; 0: all at once.
    """

    def __init__(self, target: int, *, most_a_second: float = 0) -> None:
        self.most_a_second = most_a_second
        self.latencies: list[float] = []
        self._target = target
        self._stamps: dict[str, list[int]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for connection in (near, far):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._frames, args=(near, far), daemon=True).start()
                threading.Thread(target=self._acks, args=(far, near), daemon=True).start()

    def _frames(self, near: socket.socket, far: socket.socket) -> None:
        reader = FrameReader()
        with suppress(OSError), near, far:
            while data := near.recv(65536):
                for frame in reader.feed(data):
                    stamps = [_stamp(entry.record) for entry in frame.entries]
                    self._stamps[frame.chunk or ""] = stamps
                    if self.most_a_second:
                        time.sleep(len(stamps) / self.most_a_second)
                far.sendall(data)

    def _acks(self, far: socket.socket, near: socket.socket) -> None:
        reader = AckReader()
        with suppress(OSError):
            while data := far.recv(65536):
                now = time.monotonic_ns()
                for chunk in reader.feed(data):
                    stamps = self._stamps.pop(chunk, [])
                    self.latencies += [(now - stamp) / 1e9 for stamp in stamps]
                near.sendall(data)


def _stamp(record: dict[str, dict[str, str]]) -> int:
    """When the state was made, as tests.bench.replay writes it into the message."""
    match = _STAMP.search(record["event"]["message"])
    return int(match[1]) if match else 0
