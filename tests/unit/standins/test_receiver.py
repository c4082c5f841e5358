from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgpack
import pytest

from eventrouter.standins.receiver.receiver import Receiver
from tests.support.waiting import DEADLINE


class Sender:
    def __init__(self, url):
        target = urlsplit(url)
        if target.scheme == "unix":
            self.socket = _connect_unix(target.path)
        else:
            self.socket = socket.create_connection((target.hostname, target.port), timeout=DEADLINE)
        self.socket.settimeout(DEADLINE)
        self._acks = msgpack.Unpacker()

    def send(self, chunk, *ids, tag="kube.events.normal"):
        entries = [[1_700_000_000, {"id": each}] for each in ids]
        self.socket.sendall(msgpack.packb([tag, entries, {"chunk": chunk}]))

    def ack(self):
        """The next chunk acknowledged; None when the connection is closed."""
        while True:
            for answer in self._acks:
                return answer["ack"]
            data = self.socket.recv(4096)
            if not data:
                return None
            self._acks.feed(data)

    def is_closed(self):
        """Whether the connection has ended, orderly or, with input unread, by a reset."""
        try:
            return self.ack() is None
        except ConnectionResetError:
            return True

    def fill(self):
        """Send until nothing more fits in between."""
        self.socket.setblocking(False)
        while True:
            self.socket.send(b"\x93" * 65536)

    def is_quiet(self):
        """Whether nothing has come that could be read now."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1) and False
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)


def _connect_unix(path):
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def connected(receiver):
    sender = Sender(receiver.url)
    try:
        yield sender
    finally:
        sender.socket.close()


@pytest.fixture
def sender(receiver):
    with connected(receiver) as sender:
        yield sender


def test_frames_are_acknowledged_in_order_after_their_entries_were_taken():
    taken = []

    def take(tag, when, record):
        taken.append((tag, when.seconds, record["id"]))

    with Receiver(on_entry=take) as receiver, connected(receiver) as sender:
        sender.send("c1", "a", "b")
        sender.send("c2", "c")

        assert sender.ack() == "c1"
        assert [record_id for _, _, record_id in taken][:2] == ["a", "b"]
        assert sender.ack() == "c2"
        assert taken[2] == ("kube.events.normal", 1_700_000_000, "c")
        assert receiver.ids == ["a", "b", "c"]
        assert receiver.records["b"] == {"id": "b"}
        assert [frame.chunk for frame in receiver.frames] == ["c1", "c2"]


def test_an_empty_frame_is_acknowledged(sender):
    sender.send("heartbeat")

    assert sender.ack() == "heartbeat"


def test_a_frame_without_a_chunk_is_taken_and_not_acknowledged(receiver, sender):
    sender.socket.sendall(msgpack.packb(["t", [[1, {"id": "a"}]]]))

    sender.send("c2", "b")

    assert sender.ack() == "c2"
    assert receiver.ids == ["a", "b"]


def test_a_receiver_that_only_counts_keeps_nothing():
    with Receiver(keep=False) as receiver, connected(receiver) as sender:
        sender.send("c1", "a", "b")

        assert sender.ack() == "c1"
        assert (receiver.count, receiver.frames, receiver.records) == (2, [], {})


def test_a_unix_socket_works_alike_and_a_stale_one_is_replaced(tmp_path):
    path = tmp_path / "forward.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    with Receiver(f"unix://{path}") as receiver:
        with connected(receiver) as sender:
            sender.send("c1", "a")
            assert sender.ack() == "c1"
        receiver.faults.refuse()
        with pytest.raises(FileNotFoundError):
            Sender(receiver.url)
        receiver.faults.listen()
        with connected(receiver) as sender:
            sender.send("c2")
            assert sender.ack() == "c2"

    assert not path.exists()


def test_a_bad_entry_closes_the_connection_but_those_before_it_are_kept(receiver, sender):
    sender.socket.sendall(msgpack.packb(["t", [[1, {"id": "a"}], [1, "bad"]], {"chunk": "c"}]))

    assert sender.ack() is None
    assert receiver.ids == ["a"]
    assert receiver.refusals == ["a record is not a map"]


def test_a_frame_over_the_limit_closes_the_connection():
    with Receiver(max_frame_bytes=1000) as receiver, connected(receiver) as sender:
        sender.send("c1", "x" * 2000)

        assert sender.is_closed()
        assert receiver.count == 0


class TestFaults:
    def test_an_ack_can_fail_to_come(self, receiver, sender):
        receiver.faults.acknowledge_badly("none")

        sender.send("c1", "a")
        sender.send("c2", "b")

        assert sender.ack() == "c2"
        assert receiver.ids == ["a", "b"]

    def test_an_ack_can_be_for_another_chunk(self, receiver, sender):
        receiver.faults.acknowledge_badly("wrong")

        sender.send("c1", "a")

        assert sender.ack() not in ("c1", None)

    def test_an_ack_can_come_twice(self, receiver, sender):
        receiver.faults.acknowledge_badly("twice")

        sender.send("c1")
        sender.send("c2")

        assert [sender.ack() for _ in range(3)] == ["c1", "c1", "c2"]

    def test_an_ack_can_come_byte_by_byte(self, receiver, sender):
        receiver.faults.acknowledge_badly("bytewise", times=2)

        sender.send("c1")
        sender.send("c2")

        assert [sender.ack(), sender.ack()] == ["c1", "c2"]

    def test_a_connection_can_close_in_place_of_an_ack_with_the_entries_stored(
        self, receiver, sender
    ):
        receiver.faults.acknowledge_badly("close")

        sender.send("c1", "a")

        assert sender.ack() is None
        assert receiver.ids == ["a"]
        with connected(receiver) as again:
            again.send("c1", "a")
            assert again.ack() == "c1"
        assert receiver.ids == ["a", "a"]

    def test_acks_can_be_held_and_come_in_order_when_released(self, receiver, sender):
        receiver.faults.hold_acks()
        for number in range(4):
            sender.send(f"c{number}", f"id-{number}")
        receiver.wait_for_frames(4)
        assert sender.is_quiet()

        receiver.faults.release_acks()

        assert [sender.ack() for _ in range(4)] == ["c0", "c1", "c2", "c3"]
        sender.send("c4")
        assert sender.ack() == "c4"

    def test_a_connection_can_close_after_so_many_bytes(self, receiver, sender):
        sender.send("c1", "a")
        assert sender.ack() == "c1"

        receiver.faults.close_after(10)
        sender.send("c2", "b")

        assert sender.is_closed()
        assert receiver.ids == ["a"]

    def test_a_paused_input_closes_and_leaves_newcomers_waiting(self, receiver, sender):
        sender.send("c1")
        assert sender.ack() == "c1"

        receiver.faults.pause()

        assert sender.ack() is None
        with connected(receiver) as waiting:
            waiting.send("c2", "a")
            assert waiting.is_quiet()
            receiver.faults.resume()
            assert waiting.ack() == "c2"

    def test_a_receiver_can_stop_reading(self, receiver, sender):
        receiver.faults.stop_reading()
        sender.send("c1", "a")

        with pytest.raises(BlockingIOError):
            sender.fill()
        assert receiver.count == 0

    def test_reading_goes_on_where_it_stopped(self, receiver, sender):
        receiver.faults.stop_reading()
        sender.send("c1", "a")
        assert sender.is_quiet()

        receiver.faults.resume()

        assert sender.ack() == "c1"

    def test_the_rate_can_be_limited(self, receiver, sender):
        receiver.faults.limit_rate(100)
        started = time.monotonic()

        sender.send("c1", *map(str, range(20)))

        assert sender.ack() == "c1"
        assert time.monotonic() - started >= 0.2

    def test_a_killed_receiver_resets_refuses_and_comes_back_at_its_port(self, receiver, sender):
        sender.send("c1")
        assert sender.ack() == "c1"

        receiver.faults.refuse()

        with pytest.raises(ConnectionResetError):
            sender.ack()
        with pytest.raises(ConnectionRefusedError):
            Sender(receiver.url)
        receiver.faults.listen()
        with connected(receiver) as again:
            again.send("c2")
            assert again.ack() == "c2"

    def test_an_entry_can_be_refused_by_the_test(self):
        def full(tag, when, record):
            raise OSError("no space left")

        with Receiver(on_entry=full) as receiver, connected(receiver) as sender:
            sender.send("c1", "a")

            assert sender.ack() is None
            assert receiver.count == 0
