"""A link between watcher and sidecar that sees when a state is acknowledged, or slows it down."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

from eventrouter.forward.protocol import AckReader
from eventrouter.standins.receiver.frames import FrameReader
from tests.drills.relay import Relay

_STAMP = re.compile(r"\((\d+)\)$")


class Probe(Relay):
    """Passes frames and acks on as they are, and reads along.

    `latencies` holds, for each record, the seconds from the making of its state to its ack.
    `most_a_second` holds back frames so that no more records pass than that; 0: all at once.
    """

    def __init__(self, target: int, *, most_a_second: float = 0) -> None:
        super().__init__(target)
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.most_a_second = most_a_second
        self.latencies: list[float] = []
        self._stamps: dict[str, list[int]] = {}

    def asking(self, server: socket.socket) -> Callable[[bytes], None]:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = FrameReader()

        def take(data: bytes) -> None:
            for frame in reader.feed(data):
                stamps = [_stamp(entry.record) for entry in frame.entries]
                self._stamps[frame.chunk or ""] = stamps
                if self.most_a_second:
                    time.sleep(len(stamps) / self.most_a_second)
            server.sendall(data)

        return take

    def answering(self, client: socket.socket) -> Callable[[bytes], None]:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = AckReader()

        def take(data: bytes) -> None:
            now = time.monotonic_ns()
            for chunk in reader.feed(data):
                stamps = self._stamps.pop(chunk, [])
                self.latencies += [(now - stamp) / 1e9 for stamp in stamps]
            client.sendall(data)

        return take


def _stamp(record: dict[str, dict[str, str]]) -> int:
    """When the state was made, as tests.bench.replay writes it into the message."""
    match = _STAMP.search(record["event"]["message"])
    return int(match[1]) if match else 0
