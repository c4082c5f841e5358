"""A stand-in for Fluent Bit: takes frames of the forward protocol and acknowledges them."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgpack

from eventrouter.standins.receiver.frames import (
    MAX_FRAME_BYTES,
    EventTime,
    Frame,
    FrameReader,
    Malformed,
)
from eventrouter.standins.standin import StandIn

Record = dict[str, Any]
OnEntry = Callable[[str, EventTime, Record], None]
BadAck = Literal["none", "wrong", "twice", "bytewise", "close"]

_READ_BYTES = 256 * 1024


class Receiver(StandIn):
    """Listens at `tcp://host:port` or `unix:///path`; `url` names the port if you gave 0.

    It takes the entries of a frame, then acknowledges the frame, in order on each connection; empty
    frames too. `on_entry` is called for each entry and may raise OSError to refuse it. `count` is
    the number of entries taken. Unless `keep` is false, `frames` holds the frames, and `records`
    holds the records by their ids.
    """

    def __init__(
        self,
        url: str = "tcp://127.0.0.1:0",
        *,
        on_entry: OnEntry | None = None,
        keep: bool = True,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.count = 0
        self.frames: list[Frame] = []
        self.records: dict[str, Record] = {}
        self.refusals: list[str] = []  # why connections were closed without an ack
        self.faults = ReceiverFaults(self)
        self._on_entry = on_entry
        self._keep = keep
        self._max_frame_bytes = max_frame_bytes
        super().__init__(url)

    @property
    def url(self) -> str:
        return self.address

    @property
    def ids(self) -> list[str]:
        """The id of every entry taken, in order. An entry that was sent twice is there twice."""
        return [entry.record["id"] for frame in self.frames for entry in frame.entries]

    def wait_for_records(self, count: int, *, timeout: float = 30.0) -> None:
        """Wait until there are so many different records. Needs `keep`."""
        self.wait_for(lambda: len(self.records) >= count, timeout=timeout)

    def wait_for_frames(self, count: int, *, timeout: float = 30.0) -> None:
        """Wait until there are so many frames, counting empty ones. Needs `keep`."""
        self.wait_for(lambda: len(self.frames) >= count, timeout=timeout)

    def serve(self, connection: socket.socket) -> None:
        reader = FrameReader(max_frame_bytes=self._max_frame_bytes)
        while data := connection.recv(_READ_BYTES):
            self.pass_gate(connection)
            wanted, is_last = self.faults.cut_input(data)
            try:
                for frame in reader.feed(wanted):
                    self._take(frame)
                    if frame.chunk is not None:
                        self.faults.acknowledge(connection, frame.chunk)
            except Malformed as malformed:
                with self.changing():
                    self.refusals.append(str(malformed))
                return
            if is_last:
                return

    def _take(self, frame: Frame) -> None:
        if self._on_entry is not None:
            for entry in frame.entries:
                self._on_entry(frame.tag, entry.time, entry.record)
        self.faults.spend_time(len(frame.entries))
        with self.changing():
            self.count += len(frame.entries)
            if self._keep:
                self.frames.append(frame)
                self.records.update(
                    (entry.record["id"], entry.record)
                    for entry in frame.entries
                    if "id" in entry.record
                )
        if frame.problem is not None:
            raise Malformed(frame.problem)

    def close(self) -> None:
        self.faults.limit_rate(None)
        super().close()


class ReceiverFaults:
    """Each method causes one fault. Planned bad acks are used up in order."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._lock = threading.Lock()
        self._planned: deque[BadAck] = deque()
        self._is_holding = False
        self._held: list[tuple[socket.socket, str]] = []
        self._input_left: int | None = None
        self._seconds_for_one = 0.0
        self._rate_changed = threading.Condition()

    def acknowledge_badly(self, how: BadAck, *, times: int = 1) -> None:
        """Spoil the next acks.

        `none` sends no ack, `wrong` one for another chunk, `twice` the same again, and `bytewise`
        one byte at a time. `close` keeps the entries and closes the connection without an ack.
        """
        with self._lock:
            self._planned.extend([how] * times)

    def hold_acks(self) -> None:
        """Take frames, but keep their acks back."""
        self._is_holding = True

    def release_acks(self) -> None:
        """Send the acks that were kept back, in order, and keep no more back."""
        with self._lock:
            self._is_holding = False
            held, self._held = self._held, []
            for connection, chunk in held:
                try:
                    _send(connection, chunk)
                except OSError:
                    pass  # that connection has ended in the meantime

    def close_after(self, input_bytes: int) -> None:
        """Close the connection that brings the last of the next so many bytes of input."""
        with self._lock:
            self._input_left = input_bytes

    def pause(self) -> None:
        """Act like Fluent Bit's paused input (fluent-bit#9744).

        That closes every connection and leaves new ones waiting in the backlog.
        """
        self._receiver.hold()
        self._receiver.hang_up()

    def stop_reading(self) -> None:
        """Keep the connections open, but read nothing from them."""
        self._receiver.shut_gate()

    def resume(self) -> None:
        """End `pause` or `stop_reading`."""
        self._receiver.open_gate()
        self._receiver.unhold()

    def limit_rate(self, events_per_second: float | None) -> None:
        """Take at most so many events a second over each connection. None sets no limit."""
        with self._rate_changed:
            self._seconds_for_one = 1 / events_per_second if events_per_second else 0.0
            self._rate_changed.notify_all()

    def refuse(self) -> None:
        """Act like a killed Fluent Bit: reset open connections and refuse new ones."""
        self._receiver.refuse()

    def listen(self) -> None:
        """End `refuse`: listen at the same address again."""
        self._receiver.listen()

    # For the receiver.

    def cut_input(self, data: bytes) -> tuple[bytes, bool]:
        """The part of the input to read, and whether the connection ends after it."""
        with self._lock:
            if self._input_left is None:
                return data, False
            data = data[: self._input_left]
            self._input_left -= len(data)
            if self._input_left > 0:
                return data, False
            self._input_left = None
            return data, True

    def spend_time(self, events: int) -> None:
        """Wait for as long as so many events take at the limited rate."""
        if seconds := events * self._seconds_for_one:
            with self._rate_changed:
                self._rate_changed.wait_for(lambda: not self._seconds_for_one, seconds)

    def acknowledge(self, connection: socket.socket, chunk: str) -> None:
        """Send the ack of a chunk, unless a fault is planned for it."""
        with self._lock:
            how = self._planned.popleft() if self._planned else "well"
            if how == "none":
                return
            if self._is_holding:
                self._held.append((connection, chunk))
            elif how == "close":
                raise ConnectionAbortedError("closed in place of an ack, as planned")
            elif how == "bytewise":
                for byte in _ack(chunk):
                    connection.sendall(bytes((byte,)))
            elif how == "wrong":
                _send(connection, f"not-{chunk}")
            else:
                _send(connection, chunk)
                if how == "twice":
                    _send(connection, chunk)


def _send(connection: socket.socket, chunk: str) -> None:
    connection.sendall(_ack(chunk))


def _ack(chunk: str) -> bytes:
    ack: bytes = msgpack.packb({"ack": chunk}, unicode_errors="surrogateescape")
    return ack
