"""The keeper: one thread writes, whoever waits for a write gets it, and what it says is so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from eventrouter.checkpoint import keeper as keeper_module
from eventrouter.checkpoint.backlog import Backlog
from eventrouter.checkpoint.contents import Checkpoint
from eventrouter.checkpoint.keeper import Keeper
from eventrouter.errors import CheckpointError, Deposed
from eventrouter.forward.batch import Position
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock
from tests.support.waiting import DEADLINE, eventually
from tests.unit.checkpoint.fakes import FakeBuffer, FakeStore

SEVEN = {"": Position("7")}


@pytest.fixture
def buffer() -> FakeBuffer:
    return FakeBuffer()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def keeper(
    buffer: FakeBuffer,
    store: FakeStore,
    metrics: Metrics,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Keeper:
    monkeypatch.setattr(keeper_module, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(keeper_module, "_LAST_ROUND_SECONDS", 0.01)
    return Keeper(
        kept=Checkpoint("source", "buffer"),
        followed={"", "a", "b"},
        store=store,
        buffer=buffer,
        backlog=Backlog(buffer=buffer, metrics=metrics, note=lambda name, text: None, clock=clock),
        metrics=metrics,
        pulse=Pulse(clock),
        clock=clock,
    )


@contextmanager
def running(keeper: Keeper) -> Iterator[threading.Thread]:
    """The keeper at work in its thread, until the block ends."""
    thread = threading.Thread(target=keeper.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        keeper.stop()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def end(keeper: Keeper) -> bool:
    """A clean stop without any patience. Whether the buffer is empty."""
    with running(keeper):
        return keeper.wait_delivered(0)


@contextmanager
def in_a_thread(wish: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=wish, daemon=True)
    thread.start()
    yield thread
    thread.join(DEADLINE)
    assert not thread.is_alive()


# --- the end of a run


def test_a_buffer_with_a_chunk_that_was_never_acknowledged_is_not_called_empty(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    """Nor is it waited for: without an ack there is no position that it could hold up."""
    buffer.held = {"unacknowledged.flb"}

    assert end(keeper) is False
    assert store.saved == []


def test_a_chunk_without_an_ack_does_not_keep_what_is_acked_from_being_delivered(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    keeper.acked(SEVEN)
    buffer.held = {"7.flb"}
    keeper.save_progress()
    assert store.saved[-1].delivered == {}
    buffer.held = {"unacknowledged.flb"}

    assert end(keeper) is False
    assert store.saved[-1].delivered == {"": "7"}


def test_an_empty_buffer_is_called_empty_and_what_is_acked_is_delivered(
    keeper: Keeper, store: FakeStore
) -> None:
    keeper.acked(SEVEN)

    assert end(keeper) is True
    assert store.saved[-1].delivered == {"": "7"}


def test_nothing_is_written_where_nothing_happened(keeper: Keeper, store: FakeStore) -> None:
    assert end(keeper) is True
    assert store.saved == []


def test_the_end_waits_for_the_last_chunk(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    results: list[bool] = []
    keeper.acked(SEVEN)
    buffer.held = {"7.flb"}
    with running(keeper):
        eventually(lambda: store.saved)
        with in_a_thread(lambda: results.append(keeper.wait_delivered(60))):
            eventually(lambda: keeper._end_at is not None)
            looks = buffer.looks
            eventually(lambda: buffer.looks > looks + 3)
            assert results == []
            buffer.held = set()

    assert results == [True]
    assert store.saved[-1].delivered == {"": "7"}


def test_a_buffer_that_cannot_be_seen_is_not_called_empty(
    keeper: Keeper, buffer: FakeBuffer, caplog: pytest.LogCaptureFixture
) -> None:
    buffer.held = None

    assert end(keeper) is False
    assert "cannot look into the sidecar's buffer" in caplog.text


# --- what is delivered


def test_a_buffer_that_cannot_be_seen_delivers_nothing_and_is_counted(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore, metrics: Metrics
) -> None:
    keeper.acked(SEVEN)
    buffer.held = {"7.flb"}
    keeper.save_progress()
    buffer.held = None
    keeper.save_progress()

    assert store.saved[-1].delivered == {}
    assert metrics.total(metrics.errors) == 1
    buffer.held = set()
    keeper.save_progress()
    assert store.saved[-1].delivered == {"": "7"}


@pytest.mark.parametrize("is_gone", [True, False], ids=["all out of sight", "one unreadable"])
def test_a_chunk_that_could_not_be_looked_at_once_still_holds_up_what_is_in_it(
    is_gone: bool, keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    """An error of the disk does not mean that it has left."""
    buffer.held = {"6.flb", "7.flb"}
    keeper.acked(SEVEN)
    keeper.save_progress()
    buffer.held = None if is_gone else {"6.flb"}
    buffer.unreadable = {"6.flb"}
    keeper.save_progress()
    buffer.held, buffer.unreadable = {"6.flb"}, set()

    keeper.save_progress()
    assert store.saved[-1].delivered == {}

    buffer.held = set()
    keeper.save_progress()
    assert store.saved[-1].delivered == {"": "7"}


def test_chunks_that_got_nothing_hold_up_nothing(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    """A full disk leaves some, which stay for as long as that Fluent Bit runs."""
    keeper.acked(SEVEN)
    buffer.held, buffer.empty = {"1.flb", "2.flb", "3.flb"}, {"1.flb", "2.flb", "3.flb"}

    keeper.save_progress()

    assert store.saved[-1].delivered == {"": "7"}


def test_only_what_was_acked_before_the_chunks_were_seen_counts_as_delivered(
    keeper: Keeper, buffer: FakeBuffer, metrics: Metrics
) -> None:
    metrics.acked.labels("normal").inc(5)
    keeper.acked(SEVEN)
    buffer.held = {"7.flb"}
    keeper.save_progress()
    metrics.acked.labels("normal").inc(2)
    keeper.acked({"": Position("9")})
    keeper.save_progress()
    assert metrics.total(metrics.delivered) == 0
    buffer.held = {"9.flb"}

    keeper.save_progress()
    assert metrics.total(metrics.delivered) == 5
    buffer.held = set()
    keeper.save_progress()
    assert metrics.total(metrics.delivered) == 7


def test_the_positions_that_are_written_are_shown(keeper: Keeper, metrics: Metrics) -> None:
    keeper.acked(SEVEN)
    keeper.save_progress()

    for reached in ("acked", "delivered"):
        labels = {"namespace": "", "reached": reached}
        assert metrics.registry.get_sample_value("eventrouter_position", labels) == 7


def test_a_look_at_many_waiting_chunks_costs_one_question(
    keeper: Keeper, buffer: FakeBuffer
) -> None:
    """Not one for each: an outage leaves tens of thousands."""
    buffer.held = {f"{number}.flb" for number in range(1000)}
    keeper.acked(SEVEN)
    keeper.save_progress()
    scans, looks = buffer.scans, buffer.looks

    for _ in range(10):
        keeper.save_progress()

    assert buffer.scans == scans
    assert buffer.looks == looks + 10


def test_all_chunks_must_be_gone_whichever_goes_first(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    chunks = [f"{number}.flb" for number in range(9)]
    buffer.held = set(chunks)
    keeper.acked(SEVEN)
    for chunk in chunks:
        keeper.save_progress()
        assert store.saved[-1].delivered == {}
        buffer.held.remove(chunk)

    keeper.save_progress()

    assert store.saved[-1].delivered == {"": "7"}


def test_the_queue_of_the_optional_outputs_holds_up_nothing(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    """They may drop what they cannot deliver: nobody can say when it is delivered."""
    buffer.held = {"forward.1/optional.flb"}
    keeper.acked(SEVEN)

    keeper.save_progress()

    assert store.saved[-1].delivered == {"": "7"}
    assert end(keeper) is True


@pytest.mark.parametrize("how", ["stopped", "told to deliver"])
def test_an_end_that_comes_during_a_write_does_not_wait_for_the_next_round(
    how: str,
    keeper: Keeper,
    buffer: FakeBuffer,
    store: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a Lease a write takes up to two seconds, so a stop often comes during one."""
    writes, has_come = threading.Event(), threading.Event()

    def save(checkpoint: Checkpoint, *, now: float) -> None:
        writes.set()
        assert has_come.wait(DEADLINE)

    def come() -> None:
        keeper.stop() if how == "stopped" else keeper.wait_delivered(0)

    keeper.acked(SEVEN)
    buffer.held = {"7.flb"}
    with running(keeper) as thread:
        eventually(lambda: store.saved and not keeper._is_urgent)
        monkeypatch.setattr(keeper_module, "ROUND_SECONDS", 600.0)
        monkeypatch.setattr(store, "save", save)
        keeper.acked({"": Position("8")})
        assert writes.wait(DEADLINE)
        with in_a_thread(come):
            eventually(lambda: keeper._end_at is not None)
            has_come.set()
            thread.join(DEADLINE)
            assert not thread.is_alive()


# --- wishes


def test_the_start_of_a_list_is_written_when_begin_list_returns(
    keeper: Keeper, store: FakeStore
) -> None:
    with running(keeper):
        keeper.begin_list("a", "5")
        assert store.saved[-1].started == {"a": "5"}


def test_the_first_position_of_a_namespace_does_not_wait_for_the_next_round(
    keeper: Keeper, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher that is killed before it is written lists everything anew."""
    monkeypatch.setattr(keeper_module, "ROUND_SECONDS", 60.0)
    with running(keeper):
        keeper.begin_list("a", "5")
        keeper.acked({"a": Position("5")})
        eventually(lambda: store.saved[-1].acked == {"a": "5"})


def test_begin_list_waits_until_a_store_that_fails_takes_it(
    keeper: Keeper, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And shows that its thread is alive meanwhile."""
    monkeypatch.setattr(keeper_module, "_BEAT_SECONDS", 0.01)
    beats: list[int] = []
    store.error = CheckpointError("disk full")
    with (
        running(keeper),
        in_a_thread(lambda: keeper.begin_list("a", "5", beat=lambda: beats.append(1))) as thread,
    ):
        eventually(lambda: store.tries > 2 and len(beats) > 2)
        assert thread.is_alive()
        store.error = None
        thread.join(DEADLINE)
        assert store.saved[-1].started == {"a": "5"}


def test_two_lists_that_begin_at_once_are_both_written(keeper: Keeper, store: FakeStore) -> None:
    with (
        running(keeper),
        in_a_thread(lambda: keeper.begin_list("a", "5")),
        in_a_thread(lambda: keeper.begin_list("b", "6")),
    ):
        pass

    assert store.saved[-1].started == {"a": "5", "b": "6"}


@pytest.mark.parametrize("how", ["stopped", "deposed"])
def test_whoever_waits_for_a_write_is_let_go_at_the_end(
    keeper: Keeper, store: FakeStore, how: str
) -> None:
    store.error = Deposed("no longer the leader") if how == "deposed" else CheckpointError("full")
    with running(keeper), in_a_thread(lambda: keeper.begin_list("a", "5")):
        eventually(lambda: store.tries)
        if how == "stopped":
            keeper.stop()


def test_a_history_that_went_back_is_forgotten_in_the_store_too(
    keeper: Keeper, buffer: FakeBuffer, store: FakeStore
) -> None:
    """Else a restart would go on after states of the new history that were never sent."""
    keeper.acked({"": Position("1008")})
    keeper.save_progress()
    assert store.saved[-1].delivered == {"": "1008"}
    with running(keeper):
        keeper.history_went_back("", 1)
        assert store.saved[-1] == Checkpoint("source", "buffer")
        keeper.acked({"": Position("1009")})
        keeper.acked({"": Position("1004", history=1)})
        eventually(lambda: store.saved[-1].delivered == {"": "1004"})


def test_nobody_but_the_keeper_s_thread_writes(keeper: Keeper, store: FakeStore) -> None:
    with running(keeper) as thread:
        keeper.begin_list("a", "5")
        keeper.acked(SEVEN)
        keeper.history_went_back("a", 1)
        keeper.wait_delivered(1)

    assert store.savers == {thread}


# --- troubles


def test_one_that_leads_no_longer_does_not_complain_about_the_checkpoint(
    keeper: Keeper, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Another one writes it now. The election has said so, and nobody tries again."""
    store.error = Deposed("no longer the leader")
    keeper.acked(SEVEN)

    keeper.save_progress()

    assert not caplog.records


def test_a_checkpoint_that_cannot_be_written_is_said_once(
    keeper: Keeper, store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = CheckpointError("disk full")
    keeper.acked(SEVEN)

    keeper.save_progress()
    keeper.save_progress()

    assert [record.message for record in caplog.records] == ["disk full; trying again"]


def test_a_last_write_that_fails_is_not_tried_all_the_time(
    keeper: Keeper, store: FakeStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`helm uninstall` may take the Lease away before the pod has stopped."""
    monkeypatch.setattr(keeper, "_rest", lambda seconds, *, end_at: clock.advance(seconds))
    store.error = CheckpointError("gone")
    keeper.acked(SEVEN)

    def stop() -> None:
        keeper.wait_delivered(10)

    with in_a_thread(stop):
        eventually(lambda: keeper._end_at is not None)
        keeper.run()

    assert 1 < store.tries < 8
