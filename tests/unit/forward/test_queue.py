"""The queue: order and counts under any puts and takes, bounds, and who is woken when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eventrouter.clock import SystemClock
from eventrouter.forward import queue as queue_module
from eventrouter.forward.batch import MAX_BYTES as BATCH_BYTES
from eventrouter.forward.batch import MAX_RECORDS as BATCH_RECORDS
from eventrouter.forward.batch import Batch, Position
from eventrouter.forward.queue import Queue
from tests.support.clock import FakeClock
from tests.support.waiting import DEADLINE, eventually

LINGER = 0.25

T = TypeVar("T")


def batch_of(*entries: bytes, tag_suffix: str = "normal", position: str = "") -> Batch:
    batch = Batch()
    for entry in entries:
        batch.add(tag_suffix, entry)
    if position:
        batch.positions[""] = Position(position)
    return batch


def small_queue(clock: FakeClock) -> Queue:
    return Queue(max_records=10, max_bytes=1000, linger_seconds=lambda: LINGER, clock=clock)


def entries_of(batch: Batch | None) -> list[bytes]:
    assert batch is not None
    return [entry for entries in batch.entries.values() for entry in entries]


class AnyUse(RuleBasedStateMachine):
    """Any sequence of puts and takes, held against a plain list."""

    MAX_RECORDS = 1200
    MAX_BYTES = 3 * BATCH_BYTES

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.queue = Queue(
            max_records=self.MAX_RECORDS,
            max_bytes=self.MAX_BYTES,
            linger_seconds=lambda: LINGER,
            clock=self.clock,
        )
        self.serial = 0
        self.waiting: list[tuple[int, str, bytes]] = []
        self.last_put = 0
        self.last_position = 0
        self.closed = False

    @rule(
        tag_suffixes=st.lists(st.sampled_from(["normal", "warning"]), max_size=3),
        repetitions=st.sampled_from([1, 1, 2, 150, 499]),
        size=st.sampled_from([8, 8, 300, BATCH_BYTES // 2, BATCH_BYTES + 1]),
    )
    def put(self, tag_suffixes: list[str], repetitions: int, size: int) -> None:
        if size > 300:
            repetitions = min(repetitions, 2)
        batch = Batch()
        added = []
        self.last_put += 1
        for tag_suffix in tag_suffixes * repetitions:
            self.serial += 1
            entry = self.serial.to_bytes(8, "big").ljust(size, b"-")
            batch.add(tag_suffix, entry)
            added.append((self.last_put, tag_suffix, entry))
        batch.positions[""] = Position(str(self.last_put))
        records, size_before = self.queue.records, self.queue.size_bytes
        was_empty = not self.waiting and not records

        taken = self.queue.put(batch, patience_seconds=0)

        if self.closed:
            assert not taken
        elif (
            records + batch.records <= self.MAX_RECORDS
            and size_before + batch.size_bytes <= self.MAX_BYTES
        ):
            assert taken
        if taken:
            self.waiting += added
            assert was_empty or (
                self.queue.records <= self.MAX_RECORDS and self.queue.size_bytes <= self.MAX_BYTES
            )

    @rule()
    def take(self) -> None:
        batch = self.queue.take(patience_seconds=0)

        if batch is None:
            assert self.queue.records < BATCH_RECORDS
            return
        for tag_suffix, entries in batch.entries.items():
            expected = [entry for _, of, entry in self.waiting if of == tag_suffix][: len(entries)]
            assert entries == expected
        gone = {entry for entries in batch.entries.values() for entry in entries}
        assert len(gone) == batch.records
        puts = {put for put, _, entry in self.waiting if entry in gone}
        is_within = batch.records <= BATCH_RECORDS and batch.size_bytes <= BATCH_BYTES
        assert is_within or len(puts) == 1
        self.waiting = [item for item in self.waiting if item[2] not in gone]
        position = int(batch.positions[""].resource_version)
        assert position > self.last_position
        self.last_position = position
        assert all(put > position for put, _, _ in self.waiting)

    @rule(seconds=st.sampled_from([0.0, LINGER / 2, LINGER]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.last_put > 3)
    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @invariant()
    def counts_are_right(self) -> None:
        assert self.queue.records == len(self.waiting)
        assert self.queue.size_bytes == sum(len(entry) for _, _, entry in self.waiting)
        if self.queue.is_drained:
            assert self.closed
            assert not self.waiting

    def teardown(self) -> None:
        """Closed, it gives out all that is left at once, then nothing."""
        self.queue.close()
        while not self.queue.is_drained:
            self.take()
        assert self.waiting == []
        assert self.queue.take(patience_seconds=0) is None


AnyUse.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAnyUse = AnyUse.TestCase


# --- when a batch is due


def test_a_lone_event_waits_for_company_but_not_long(clock: FakeClock) -> None:
    queue = small_queue(clock)
    queue.put(batch_of(b"one"), patience_seconds=0)

    assert queue.take(patience_seconds=0) is None
    clock.advance(LINGER / 2)
    queue.put(batch_of(b"two"), patience_seconds=0)
    assert queue.take(patience_seconds=0) is None
    clock.advance(LINGER / 2)

    assert entries_of(queue.take(patience_seconds=0)) == [b"one", b"two"]


@pytest.mark.parametrize(
    "entries",
    [[b"x"] * BATCH_RECORDS, [bytes(BATCH_BYTES)]],
    ids=["records", "bytes"],
)
def test_what_fills_a_batch_does_not_wait(clock: FakeClock, entries: list[bytes]) -> None:
    queue = Queue(clock=clock, linger_seconds=lambda: LINGER)

    queue.put(batch_of(*entries), patience_seconds=0)

    assert entries_of(queue.take(patience_seconds=0)) == entries


def test_small_batches_go_out_as_one(clock: FakeClock) -> None:
    """An event at a time must not become a frame at a time."""
    queue = Queue(clock=clock, linger_seconds=lambda: LINGER)
    for number in range(100):
        queue.put(batch_of(b"x", position=str(number)), patience_seconds=0)
    clock.advance(LINGER)

    batch = queue.take(patience_seconds=0)

    assert len(entries_of(batch)) == 100
    assert batch is not None
    assert batch.positions == {"": Position("99")}


def test_a_position_without_records_comes_out_too(clock: FakeClock) -> None:
    queue = small_queue(clock)
    queue.put(batch_of(position="7"), patience_seconds=0)
    clock.advance(LINGER)

    batch = queue.take(patience_seconds=0)

    assert batch is not None
    assert batch.positions == {"": Position("7")}


def test_a_batch_lingers_for_as_long_as_it_is_told_at_the_moment(clock: FakeClock) -> None:
    """While chunks wait in the sidecar's buffer events collect for longer, and no longer after."""
    lingers = [3 * LINGER]
    queue = Queue(clock=clock, linger_seconds=lambda: lingers[-1])
    queue.put(batch_of(b"one"), patience_seconds=0)
    clock.advance(2 * LINGER)
    assert queue.take(patience_seconds=0) is None

    lingers.append(LINGER)

    assert entries_of(queue.take(patience_seconds=0)) == [b"one"]


def test_while_it_collects_full_batches_wait_too_and_then_go_in_a_row(clock: FakeClock) -> None:
    """At any rate: what arrives within one flush of Fluent Bit shares its chunks."""
    queue = Queue(clock=clock, linger_seconds=lambda: LINGER, is_collecting=lambda: True)
    full = [b"x"] * BATCH_RECORDS
    for _ in range(3):
        queue.put(batch_of(*full), patience_seconds=0)
    assert queue.take(patience_seconds=0) is None

    clock.advance(LINGER)

    assert [entries_of(queue.take(patience_seconds=0)) for _ in range(3)] == [full] * 3
    queue.put(batch_of(*full), patience_seconds=0)
    assert queue.take(patience_seconds=0) is None


def test_what_it_collects_fills_no_more_than_half_of_it(clock: FakeClock) -> None:
    """So that a reflector always finds room."""
    queue = Queue(
        max_records=10, clock=clock, linger_seconds=lambda: LINGER, is_collecting=lambda: True
    )
    queue.put(batch_of(*[b"x"] * 5), patience_seconds=0)
    assert queue.take(patience_seconds=0) is None

    queue.put(batch_of(b"y"), patience_seconds=0)

    assert len(entries_of(queue.take(patience_seconds=0))) == 6


# --- its bounds


def test_a_full_queue_takes_nothing_within_no_time(clock: FakeClock) -> None:
    queue = small_queue(clock)
    assert queue.put(batch_of(*[b"x"] * 10), patience_seconds=0)

    refused = batch_of(b"x", position="8")
    assert not queue.put(refused, patience_seconds=0)

    assert queue.records == 10
    assert (entries_of(refused), refused.positions) == ([b"x"], {"": Position("8")})


@pytest.mark.parametrize(
    ("held", "more", "expected"),
    [
        ([b"x"] * 9, [b"x"], True),
        ([b"x"] * 9, [b"x"] * 2, False),
        ([bytes(900)], [bytes(100)], True),
        ([bytes(900)], [bytes(101)], False),
    ],
)
def test_it_is_full_at_either_bound(
    clock: FakeClock, held: list[bytes], more: list[bytes], expected: bool
) -> None:
    queue = small_queue(clock)
    queue.put(batch_of(*held), patience_seconds=0)

    assert queue.put(batch_of(*more), patience_seconds=0) is expected


def test_a_batch_larger_than_the_bounds_is_taken_when_the_queue_is_empty(clock: FakeClock) -> None:
    """Nothing can be stuck for its size."""
    queue = small_queue(clock)
    huge = batch_of(*[bytes(100)] * 50)
    queue.put(batch_of(b"x"), patience_seconds=0)

    assert not queue.put(huge, patience_seconds=0)
    clock.advance(LINGER)
    queue.take(patience_seconds=0)

    assert queue.put(huge, patience_seconds=0)


@pytest.mark.parametrize(("records", "expected"), [(5, True), (6, False)])
def test_room_is_when_it_is_half_empty(clock: FakeClock, records: int, expected: bool) -> None:
    """So that a watch is not opened to be closed again at once."""
    queue = small_queue(clock)
    queue.put(batch_of(*[b"x"] * records), patience_seconds=0)

    assert queue.wait_for_room(patience_seconds=0) is expected


@pytest.mark.parametrize(("size", "expected"), [(500, True), (501, False)])
def test_room_is_in_bytes_as_well(clock: FakeClock, size: int, expected: bool) -> None:
    queue = small_queue(clock)
    queue.put(batch_of(bytes(size)), patience_seconds=0)

    assert queue.wait_for_room(patience_seconds=0) is expected


def test_clear_drops_all_and_counts_it_out(clock: FakeClock) -> None:
    queue = small_queue(clock)
    queue.put(batch_of(b"x", position="8"), patience_seconds=0)

    queue.clear()
    clock.advance(LINGER)

    assert (queue.records, queue.size_bytes) == (0, 0)
    assert queue.take(patience_seconds=0) is None


def test_a_closed_queue_takes_no_more_and_is_drained_once_it_is_empty(clock: FakeClock) -> None:
    queue = small_queue(clock)
    queue.put(batch_of(b"x"), patience_seconds=0)
    assert not queue.is_drained

    queue.close()

    assert not queue.put(batch_of(b"y"), patience_seconds=0)
    assert not queue.is_drained
    assert entries_of(queue.take(patience_seconds=0)) == [b"x"]
    assert queue.is_drained


# --- threads


@contextmanager
def in_a_thread(work: Callable[[], T]) -> Iterator[list[T]]:
    """Start it, and have its result once the block is through."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    yield results
    thread.join(DEADLINE)
    assert not thread.is_alive(), "nobody woke it"


def wait_for_a_waiter(condition: threading.Condition) -> None:
    eventually(lambda: condition._waiters)  # type: ignore[attr-defined]


def test_a_put_that_waits_goes_on_when_there_is_room() -> None:
    queue = Queue(max_records=1, linger_seconds=lambda: 0)
    queue.put(batch_of(b"one"), patience_seconds=0)

    with in_a_thread(lambda: queue.put(batch_of(b"two"), patience_seconds=2 * DEADLINE)) as result:
        assert entries_of(queue.take(patience_seconds=DEADLINE)) == [b"one"]

    assert result == [True]
    assert entries_of(queue.take(patience_seconds=DEADLINE)) == [b"two"]


def test_a_take_that_waits_gets_what_is_put() -> None:
    queue = Queue(linger_seconds=lambda: 0.01)

    with in_a_thread(lambda: queue.take(patience_seconds=2 * DEADLINE)) as result:
        queue.put(batch_of(b"one"), patience_seconds=0)

    assert [entries_of(batch) for batch in result] == [[b"one"]]


def test_a_take_that_lingers_goes_on_when_the_batch_is_full() -> None:
    queue = Queue(linger_seconds=lambda: 2 * DEADLINE)
    queue.put(batch_of(b"one"), patience_seconds=0)

    with in_a_thread(lambda: queue.take(patience_seconds=4 * DEADLINE)) as result:
        queue.put(batch_of(*[b"x"] * BATCH_RECORDS), patience_seconds=0)

    assert [entries_of(batch) for batch in result] == [[b"one"]]


def test_close_wakes_a_take_that_waits() -> None:
    queue = Queue()

    with in_a_thread(lambda: queue.take(patience_seconds=2 * DEADLINE)) as result:
        wait_for_a_waiter(queue._filled)
        queue.close()

    assert result == [None]


def test_close_wakes_a_put_that_waits() -> None:
    queue = Queue(max_records=1)
    queue.put(batch_of(b"one"), patience_seconds=0)

    with in_a_thread(lambda: queue.put(batch_of(b"two"), patience_seconds=2 * DEADLINE)) as result:
        wait_for_a_waiter(queue._emptied)
        queue.close()

    assert result == [False]


def test_close_wakes_whoever_waits_for_room() -> None:
    queue = Queue(max_records=1)
    queue.put(batch_of(b"one"), patience_seconds=0)

    with in_a_thread(lambda: queue.wait_for_room(patience_seconds=2 * DEADLINE)) as result:
        wait_for_a_waiter(queue._emptied)
        queue.close()

    assert result == [True]


def test_a_take_under_way_sees_a_linger_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outage is over: what was collected for it goes out before its time."""
    monkeypatch.setattr(queue_module, "_LOOK_SECONDS", 0.01)
    lingers = [2 * DEADLINE]
    queue = Queue(linger_seconds=lambda: lingers[-1])
    queue.put(batch_of(b"one"), patience_seconds=0)

    with in_a_thread(lambda: queue.take(patience_seconds=4 * DEADLINE)) as result:
        lingers.append(0.0)

    assert entries_of(result[0]) == [b"one"]


def test_patience_ends() -> None:
    """By the machine's own clock: a put and a take that nobody answers come back by themselves."""
    queue = Queue(max_records=1, linger_seconds=lambda: 2 * DEADLINE)
    assert queue.take(patience_seconds=0.01) is None
    queue.put(batch_of(b"one"), patience_seconds=0)

    assert not queue.put(batch_of(b"two"), patience_seconds=0.01)
    assert not queue.wait_for_room(patience_seconds=0.01)
    assert queue.take(patience_seconds=0.01) is None


def test_waiting_is_not_spinning() -> None:
    """A lone event is looked at when it came and when it is due, not all the time in between."""

    class CountingClock(SystemClock):
        reads = 0

        def monotonic(self) -> float:
            self.reads += 1
            return super().monotonic()

    clock = CountingClock()
    queue = Queue(linger_seconds=lambda: 0.05, clock=clock)
    queue.put(batch_of(b"one"), patience_seconds=0)

    assert entries_of(queue.take(patience_seconds=DEADLINE)) == [b"one"]

    assert clock.reads < 50


def test_many_producers_lose_nothing_and_keep_each_ones_order() -> None:
    queue = Queue(max_records=20, linger_seconds=lambda: 0)
    per_producer = 300

    def produce(name: str) -> bool:
        return all(
            queue.put(
                batch_of(f"{name}{number:04}".encode(), tag_suffix=name), patience_seconds=DEADLINE
            )
            for number in range(per_producer)
        )

    arrived: dict[str, list[bytes]] = {"a": [], "b": [], "c": []}
    with (
        in_a_thread(lambda: produce("a")) as first,
        in_a_thread(lambda: produce("b")) as second,
        in_a_thread(lambda: produce("c")) as third,
    ):
        while sum(map(len, arrived.values())) < 3 * per_producer:
            batch = queue.take(patience_seconds=DEADLINE)
            assert batch is not None
            for tag_suffix, entries in batch.entries.items():
                arrived[tag_suffix] += entries

    assert first == second == third == [True]
    for name, entries in arrived.items():
        assert entries == [f"{name}{number:04}".encode() for number in range(per_producer)]
    assert (queue.records, queue.size_bytes) == (0, 0)
