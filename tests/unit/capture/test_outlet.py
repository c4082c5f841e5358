"""From a reflector into the queue: the position moves with what was taken, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventrouter.capture import outlet as outlet_module
from eventrouter.capture.outlet import Outlet
from eventrouter.capture.vitals import Vitals
from eventrouter.forward.batch import Batch, Position
from eventrouter.forward.queue import Queue
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock, FakeStop


class Told:
    """Remembers what progress it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | int]] = []

    def begin_list(
        self, namespace: str, resource_version: str, *, beat: Callable[[], None]
    ) -> None:
        beat()
        self.told.append((namespace, resource_version))

    def history_went_back(self, namespace: str, history: int, *, beat: Callable[[], None]) -> None:
        beat()
        self.told.append((namespace, history))


def batch_of(*tag_suffixes: str) -> Batch:
    batch = Batch()
    for tag_suffix in tag_suffixes:
        batch.add(tag_suffix, b"entry")
    return batch


@pytest.fixture
def queue(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(outlet_module, "ROOM_SECONDS", 0.01)
    return Queue(max_records=3, clock=clock)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def link(clock: FakeClock) -> Pulse:
    return Pulse(clock)


@pytest.fixture
def outlet(
    queue: Queue, told: Told, link: Pulse, metrics: Metrics, clock: FakeClock, stop: FakeStop
) -> Outlet:
    return Outlet(
        namespace="shop",
        queue=queue,
        progress=told,
        metrics=metrics,
        vitals=Vitals(
            namespace="shop", thread=Pulse(clock), link=link, metrics=metrics, clock=clock
        ),
        stop=stop,
    )


def test_a_batch_moves_the_position_that_it_reaches(outlet: Outlet, queue: Queue) -> None:
    assert outlet.put(batch_of("normal"), reached="7")
    assert outlet.position == "7"
    assert outlet.put(batch_of("normal"))
    assert outlet.position == "7"

    queue.close()
    taken = queue.take(patience_seconds=0)

    assert taken is not None
    assert taken.positions == {"shop": Position("7", 0)}


def test_a_batch_that_finds_no_room_moves_nothing_and_is_counted_when_it_does(
    outlet: Outlet, metrics: Metrics
) -> None:
    assert outlet.offer(batch_of("normal", "normal", "warning"), reached="7")
    late = batch_of("other")

    assert not outlet.offer(late, reached="8")

    assert outlet.position == "7"
    assert metrics.total(metrics.received) == 3
    assert late.records == 1


def test_a_batch_of_nothing_at_all_is_not_queued(outlet: Outlet, queue: Queue) -> None:
    assert outlet.put(Batch())
    queue.close()

    assert queue.take(patience_seconds=0) is None


def test_positions_of_a_new_history_are_told_from_those_before(
    outlet: Outlet, told: Told, queue: Queue
) -> None:
    """And the new history is told before any of it is sent."""
    outlet.put(batch_of("normal"), reached="1008")
    outlet.begin_history()
    assert outlet.position is None
    outlet.begin_list("1003")
    outlet.put(batch_of("normal"), reached="1004")

    queue.close()
    taken = queue.take(patience_seconds=0)

    assert told.told == [("shop", 1), ("shop", "1003")]
    assert taken is not None
    assert taken.positions == {"shop": Position("1004", 1)}


def test_while_the_queue_is_full_the_silence_of_the_api_server_is_ours(
    outlet: Outlet,
    queue: Queue,
    link: Pulse,
    clock: FakeClock,
    stop: FakeStop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not asked anything, so its link counts as up for as long as that lasts."""

    def is_full(*_: Any, **__: Any) -> bool:
        clock.advance(100)
        stop.set()
        return False

    monkeypatch.setattr(queue, "wait_for_room", is_full)

    outlet.wait_for_room()

    assert link.age() == 0


def test_a_stop_ends_the_wait(outlet: Outlet, stop: FakeStop) -> None:
    outlet.put(batch_of("normal", "normal", "normal"))
    stop.set()

    assert not outlet.put(batch_of("normal"), reached="9")
    assert outlet.position is None
    outlet.wait_for_room()
