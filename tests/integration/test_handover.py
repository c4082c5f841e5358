"""The sender against a receiver that acknowledges late, wrongly, twice or never."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventrouter.clock import Backoff, SystemClock
from eventrouter.forward import connection, sender
from eventrouter.forward.batch import Batch, Position
from eventrouter.forward.connection import Address, Connection
from eventrouter.forward.queue import Queue
from eventrouter.forward.sender import Sender
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics
from eventrouter.standins.receiver.receiver import BadAck, Receiver
from tests.support.waiting import DEADLINE, eventually

TAG_SUFFIXES = ("normal", "warning", "other")
_TIME = msgpack.ExtType(0, struct.pack(">II", 10**9, 0))


class Handover:
    """A sender in its thread, and what it says has been acknowledged."""

    def __init__(self, url: str, *, queue: Queue | None = None) -> None:
        self.queue = queue or Queue(linger_seconds=lambda: 0.0)
        self.metrics = Metrics()
        self.acked: list[int] = []
        self._written = 0
        self.stop = threading.Event()
        health = Health(SystemClock())
        self.sender = Sender(
            address=Address.parse(url),
            queue=self.queue,
            tag_prefix="t",
            on_acked=lambda positions: self.acked.append(int(positions[""].resource_version)),
            metrics=self.metrics,
            pulse=health.thread("sender"),
            contact=health.link("sidecar"),
            stop=self.stop,
            clock=SystemClock(),
            backoff=Backoff(first=0.002, cap=0.01),
        )
        self.thread = threading.Thread(target=self.sender.run, daemon=True)

    def put(self, batches: int, *, records: int = 6, text: str = "") -> None:
        """That many batches of all tags. The ids are numbers, the position is the last one."""
        for _ in range(batches):
            batch = Batch()
            for _ in range(records):
                self._written += 1
                entry = [_TIME, {"id": str(self._written), "text": text}]
                batch.add(TAG_SUFFIXES[self._written % 3], msgpack.packb(entry))
            batch.positions[""] = Position(str(self._written))
            assert self.queue.put(batch, patience_seconds=10)

    @property
    def written(self) -> set[str]:
        return {str(number + 1) for number in range(self._written)}

    def start(self) -> Handover:
        self.thread.start()
        return self

    def count(self, name: str, **labels: str) -> int:
        """The value of a counter of the sender."""
        value = self.metrics.registry.get_sample_value(f"eventrouter_{name}_total", labels)
        return int(value or 0)

    def drain(self, *, timeout: float = DEADLINE) -> None:
        """As a clean stop does: all that is queued is sent and acknowledged."""
        self.queue.close()
        self.thread.join(timeout)
        assert not self.thread.is_alive()

    def __enter__(self) -> Handover:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.queue.close()
        self.stop.set()
        self.sender.interrupt()
        self.thread.join(DEADLINE)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    _patience(monkeypatch, 0.25)


def _patience(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(connection, "ACK_SECONDS", seconds)
    defaults = Connection.await_ack.__kwdefaults__
    if defaults and "seconds" in defaults:
        monkeypatch.setitem(defaults, "seconds", seconds)


def _assert_all_arrived(receiver: Receiver, handover: Handover) -> None:
    """Every record at least once, in order, and each frame the same however often it came."""
    assert receiver.records.keys() == handover.written
    assert handover.acked == sorted(handover.acked)
    assert handover.acked[-1] == len(handover.written)
    frames: dict[str, Any] = {}
    first_seen: dict[str, list[int]] = defaultdict(list)
    for frame in receiver.frames:
        assert frame.chunk is not None
        assert frames.setdefault(frame.chunk, frame) == frame
        for entry in frame.entries:
            number = int(entry.record["id"])
            assert frame.tag == f"t.{TAG_SUFFIXES[number % 3]}"
            if number not in first_seen[frame.tag]:
                first_seen[frame.tag].append(number)
    for numbers in first_seen.values():
        assert numbers == sorted(numbers)
    in_frames = Counter(entry.record["id"] for f in frames.values() for entry in f.entries)
    assert set(in_frames.values()) == {1}  # a record never changes its frame


def test_all_arrives_once_where_nothing_goes_wrong(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The good day: no resend, positions in order."""
    _patience(monkeypatch, DEADLINE)
    with Handover(receiver.url) as handover:
        handover.put(20)
        handover.drain()

    _assert_all_arrived(receiver, handover)
    assert receiver.count == 120
    assert handover.metrics.total(handover.metrics.acked) == 120


@pytest.mark.parametrize("how", ["none", "wrong", "twice", "bytewise", "close"])
def test_a_bad_ack_repeats_the_same_bytes_and_loses_nothing(
    how: BadAck, receiver: Receiver
) -> None:
    """Each of the first acks is bad: close, connect, send again, the same ids."""
    receiver.faults.acknowledge_badly(how, times=4)
    with Handover(receiver.url) as handover:
        handover.put(8)
        handover.drain()

    _assert_all_arrived(receiver, handover)


def test_a_late_ack_is_not_taken_for_a_later_one(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held back longer than the sender waits: it reconnects, and old acks reach nobody."""
    receiver.faults.hold_acks()
    with Handover(receiver.url) as handover:
        handover.put(3)
        eventually(lambda: handover.count("errors", stage="sending", error_type="ack_timeout"))
        assert handover.acked == []
        receiver.faults.release_acks()
        handover.put(3)
        handover.drain()

    _assert_all_arrived(receiver, handover)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(min_value=1, max_value=1500), max_size=4),
    acks=st.lists(st.sampled_from(["wrong", "twice", "bytewise", "close", "none"]), max_size=4),
    records=st.integers(min_value=1, max_value=9),
)
def test_any_cuts_and_bad_acks_leave_every_record_at_least_once_with_its_id(
    cuts: list[int], acks: list[BadAck], records: int
) -> None:
    """Connections that end after any number of bytes, mixed with bad acks of every sort."""
    with pytest.MonkeyPatch.context() as monkeypatch, Receiver() as receiver:
        _patience(monkeypatch, 0.05)
        for ack in acks:
            receiver.faults.acknowledge_badly(ack)
        with Handover(receiver.url) as handover:
            for cut in cuts:
                receiver.faults.close_after(cut)
                handover.put(2, records=records, text="x" * 40)
                eventually(lambda: handover.acked[-1:] == [len(handover.written)])
            handover.put(1, records=records)
            handover.drain()

        _assert_all_arrived(receiver, handover)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_acks_may_arrive_split_at_any_byte(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver whose acks come in pieces, several acks in one piece and one ack in many."""
    _patience(monkeypatch, DEADLINE)
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[str] = []

    def serve() -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unpacker = msgpack.Unpacker(strict_map_key=False)
        rest = b""
        with connection:
            while data := connection.recv(65536):
                unpacker.feed(data)
                for frame in unpacker:
                    rest += msgpack.packb({"ack": frame[2]["chunk"]})
                for at in range(0, len(rest), size):
                    connection.sendall(rest[at : at + size])
                rest = b""
        ends.append("closed by the sender")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener, Handover(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as handover:
        handover.put(10)
        handover.drain()
        thread.join(DEADLINE)

    assert handover.acked[-1] == 60
    assert ends == ["closed by the sender"]  # one connection was enough


def test_the_position_waits_for_all_tags_of_its_batch() -> None:
    """The acked frame of one tag moves nothing while another's, with older states, still waits."""
    refused = threading.Event()

    def refuse(tag: str, _time: object, _record: object) -> None:
        if tag == "t.normal" and not refused.is_set():
            raise OSError("not this one")

    with Receiver(on_entry=refuse) as picky, Handover(picky.url) as handover:
        handover.put(1)
        eventually(lambda: handover.metrics.total(handover.metrics.acked) == 4)
        assert handover.acked == []
        refused.set()
        handover.drain()
        assert handover.acked == [6]
        assert picky.records.keys() == handover.written


def test_a_later_frame_acked_before_an_earlier_one_moves_no_position(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tag's ack is lost, the others come: that connection is given up."""
    _patience(monkeypatch, DEADLINE)
    with Handover(receiver.url) as handover:
        receiver.wait_for_frames(1)  # the empty one that proves the connection
        eventually(lambda: handover.count("chunks_acked"))
        receiver.faults.acknowledge_badly("none")
        receiver.faults.hold_acks()  # of whatever comes after that
        handover.put(1)
        receiver.wait_for_records(6)
        receiver.faults.release_acks()
        handover.drain()

    assert handover.count("errors", stage="sending", error_type="ack_mismatch") == 1
    _assert_all_arrived(receiver, handover)


def test_positions_without_records_wait_for_what_was_sent_before(receiver: Receiver) -> None:
    """A deletion moves the position only after the records before it are acknowledged."""
    receiver.faults.hold_acks()
    with Handover(receiver.url) as handover:
        handover.put(1)
        receiver.wait_for_records(6)
        batch = Batch()
        batch.positions[""] = Position("77")
        handover.queue.put(batch, patience_seconds=1)
        eventually(lambda: handover.queue.records == 0)
        assert handover.acked == []
        receiver.faults.release_acks()
        handover.drain()

    assert handover.acked[-1] == 77


def test_a_receiver_that_is_down_at_the_start_is_waited_for(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections are tried until one succeeds, and the trouble is told once."""
    receiver.faults.refuse()
    with Handover(receiver.url) as handover:
        handover.put(3)
        eventually(lambda: handover.count("forward_connects", result="failed") >= 5)
        receiver.faults.listen()
        handover.drain()

    _assert_all_arrived(receiver, handover)
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1
    assert "--forward" in told[0]


def test_a_receiver_that_pauses_gets_everything_after_its_pause(receiver: Receiver) -> None:
    """A full Fluent Bit closes its connections, takes new ones and answers none."""
    with Handover(receiver.url) as handover:
        handover.put(2)
        eventually(lambda: handover.acked[-1:] == [12])
        receiver.faults.pause()
        handover.put(6)
        eventually(lambda: handover.count("errors", stage="sending", error_type="ack_timeout"))
        assert handover.acked[-1] == 12
        receiver.faults.resume()
        handover.drain()

    _assert_all_arrived(receiver, handover)


def test_no_more_is_on_the_way_than_the_window_allows(receiver: Receiver) -> None:
    """Without acks the sender stops taking from the queue."""
    receiver.faults.hold_acks()
    with Handover(receiver.url) as handover:
        for _ in range(8):
            handover.put(1, text="x" * 50_000)  # larger than a batch: none is merged
        receiver.wait_for_records(6 * sender.WINDOW)
        eventually(lambda: len(receiver.frames) >= 3 * sender.WINDOW)
        assert handover.metrics.total(handover.metrics.sent) == 6 * sender.WINDOW
        assert handover.queue.records == 6 * 4
        receiver.faults.release_acks()
        handover.drain()

    _assert_all_arrived(receiver, handover)


def test_a_batch_that_comes_when_the_leadership_is_over_is_not_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender waits for one, and the moment at which it may send no more wakes nobody."""
    _patience(monkeypatch, DEADLINE)
    handover = Handover(receiver.url).start()
    idle = handover.queue._filled._waiters  # type: ignore[attr-defined]
    eventually(lambda: len(idle) == 1, what="a sender that waits for a batch")
    handover.stop.set()

    handover.put(1)
    handover.thread.join(DEADLINE)

    assert not handover.thread.is_alive()
    handover.sender.abandon()
    assert handover.count("chunks_sent") == 1  # the empty one that proved the connection
    assert handover.metrics.in_flight() == 0
    assert sum(handover.count("events_abandoned", type=tag) for tag in TAG_SUFFIXES) == 6


def test_an_idle_link_is_proved_by_empty_frames(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are acknowledged and nothing comes of them."""
    monkeypatch.setattr(sender, "HEARTBEAT_SECONDS", 0.05)
    with Handover(receiver.url) as handover:
        receiver.wait_for_frames(4)
        handover.drain()

    assert [frame.entries for frame in receiver.frames[:4]] == [[]] * 4
    assert receiver.count == 0
    assert handover.metrics.total(handover.metrics.sent) == 0


def test_a_link_that_died_while_idle_is_found_by_the_heartbeat(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only by the next event."""
    monkeypatch.setattr(sender, "HEARTBEAT_SECONDS", 0.05)
    with Handover(receiver.url):
        receiver.wait_for_frames(2)
        receiver.faults.stop_reading()
        receiver.hang_up()
        receiver.faults.resume()
        seen = len(receiver.frames)
        receiver.wait_for_frames(seen + 3)


def test_a_unix_socket_works_as_tcp_does(tmp_path: Path) -> None:
    """`unix:///path`, and again after the receiver was gone."""
    with Receiver(f"unix://{tmp_path}/forward.sock") as receiver:
        with Handover(receiver.url) as handover:
            handover.put(3)
            eventually(lambda: handover.acked[-1:] == [18])
            receiver.faults.refuse()
            handover.put(3)
            receiver.faults.listen()
            handover.drain()

        _assert_all_arrived(receiver, handover)


def test_something_that_is_no_forward_input_is_named_as_such(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An HTTP server at the address answers with something else than acks."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    with listener, Handover(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as handover:
        eventually(lambda: handover.count("errors", stage="sending", error_type="ack_mismatch"))

    assert "is it a forward input?" in caplog.text
