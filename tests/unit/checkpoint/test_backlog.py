"""What waits in the buffer: counted and dated now and then, named when it never leaves."""

from __future__ import annotations

import logging
import math

import pytest

from eventrouter.checkpoint.backlog import (
    LOOK_SECONDS,
    NOTICE_SECONDS,
    STUCK_SECONDS,
    Backlog,
    Waiting,
    count,
)
from eventrouter.checkpoint.buffer import NoBuffer
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock
from tests.unit.checkpoint.fakes import FakeBuffer


@pytest.fixture
def buffer() -> FakeBuffer:
    return FakeBuffer()


@pytest.fixture
def notes() -> dict[str, str]:
    return {}


@pytest.fixture
def backlog(
    buffer: FakeBuffer, metrics: Metrics, notes: dict[str, str], clock: FakeClock
) -> Backlog:
    return Backlog(buffer=buffer, metrics=metrics, note=notes.__setitem__, clock=clock)


def chunk(
    clock: FakeClock, *, age_seconds: float = 0, number: int = 0, folder: str = "forward.0"
) -> str:
    return f"{folder}/7-{int(clock.time() - age_seconds)}.{number}.flb"


def look(backlog: Backlog, buffer: FakeBuffer, *chunks: str) -> None:
    buffer.held = set(chunks)
    backlog.update(list(chunks))


def gauge(metrics: Metrics, name: str, *, outputs: str = "required") -> float:
    value = metrics.registry.get_sample_value(f"eventrouter_buffer_{name}", {"outputs": outputs})
    assert value is not None
    return value


# --- counting


def test_the_oldest_is_the_one_that_was_begun_first() -> None:
    """Whatever its pid, its input and the nanoseconds, which have no leading zeros."""
    oldest = "emitter.1/99-1795543046.57562873.flb"
    chunks = ["f.0/odd.flb", "f.0/1-1795543047.5.flb", oldest, "f.0/2-1795543048.1.flb"]

    assert count(chunks, lambda chunk: True) == Waiting(4, oldest, 1795543046.057562873)


def test_chunks_that_got_nothing_do_not_count_as_the_oldest() -> None:
    chunks = ["f.0/1-1.1.flb", "f.0/1-2.1.flb", "f.0/1-3.1.flb"]

    assert count(chunks, lambda chunk: chunk == chunks[2]).oldest == chunks[2]
    assert count(chunks, lambda chunk: chunk == chunks[2]).chunks == 1
    assert count(chunks, lambda chunk: False) == Waiting(0)


def test_a_chunk_whose_name_says_nothing_counts_and_has_no_age() -> None:
    assert count(["f.0/odd.flb"], lambda chunk: True) == Waiting(1, "f.0/odd.flb")


def test_of_many_chunks_only_the_oldest_is_opened() -> None:
    opened: list[str] = []

    def has_content(chunk: str) -> bool:
        opened.append(chunk)
        return True

    count([f"f.0/1-{number}.1.flb" for number in range(20_000, 30_000)], has_content)

    assert opened == ["f.0/1-20000.1.flb"]


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (Waiting(0), "no chunk waits"),
        (Waiting(1, "f.0/a.flb", 1000.0), "1 chunk waits, the oldest for 90 s: f.0/a.flb"),
        (Waiting(2, "f.0/a.flb", 490.0), "2 chunks wait, the oldest for 10 min: f.0/a.flb"),
        (Waiting(3, "f.0/a.flb", 1090.0 - 7300), "3 chunks wait, the oldest for 2 h: f.0/a.flb"),
        (Waiting(3, "f.0/a.flb", 1090.0 - 3e5), "3 chunks wait, the oldest for 3 d: f.0/a.flb"),
        (Waiting(4), "4 chunks wait"),
        (Waiting(1, "f.0/a.flb", 2000.0), "1 chunk waits, the oldest for 0 s: f.0/a.flb"),
    ],
)
def test_what_waits_in_words(waiting: Waiting, words: str) -> None:
    assert waiting.describe(1090.0) == words


# --- when to look


def test_it_looks_at_the_start_and_then_seldom_while_anything_waits(
    backlog: Backlog, buffer: FakeBuffer, clock: FakeClock
) -> None:
    due = [backlog.is_due]
    look(backlog, buffer, chunk(clock))
    due.append(backlog.is_due)
    clock.advance(LOOK_SECONDS)
    due.append(backlog.is_due)
    look(backlog, buffer)
    clock.advance(100 * LOOK_SECONDS)
    due.append(backlog.is_due)

    assert due == [True, False, True, False]


def test_a_buffer_that_cannot_be_seen_is_never_looked_at(
    metrics: Metrics, notes: dict[str, str], clock: FakeClock
) -> None:
    backlog = Backlog(buffer=NoBuffer(), metrics=metrics, note=notes.__setitem__, clock=clock)

    assert not backlog.is_due
    backlog.update([])
    assert math.isnan(gauge(metrics, "chunks"))


# --- what it shows


def test_the_number_and_the_oldest_are_metrics(
    backlog: Backlog, buffer: FakeBuffer, metrics: Metrics, clock: FakeClock
) -> None:
    look(backlog, buffer, chunk(clock, age_seconds=90), chunk(clock))
    assert backlog.chunks == gauge(metrics, "chunks") == 2
    assert gauge(metrics, "oldest_chunk_timestamp_seconds") == clock.time() - 90

    look(backlog, buffer)

    assert backlog.chunks == gauge(metrics, "chunks") == 0
    assert math.isnan(gauge(metrics, "oldest_chunk_timestamp_seconds"))


def test_what_cannot_be_seen_is_not_nothing(
    backlog: Backlog, buffer: FakeBuffer, metrics: Metrics, notes: dict[str, str], clock: FakeClock
) -> None:
    look(backlog, buffer, chunk(clock))

    backlog.lose_sight("no such folder")

    assert math.isnan(gauge(metrics, "chunks"))
    assert math.isnan(gauge(metrics, "oldest_chunk_timestamp_seconds"))
    assert notes == {"buffer": "no such folder", "buffer, optional outputs": ""}
    assert backlog.is_due


def test_only_an_old_chunk_is_worth_a_note(
    backlog: Backlog, buffer: FakeBuffer, notes: dict[str, str], clock: FakeClock
) -> None:
    old = chunk(clock, age_seconds=NOTICE_SECONDS)
    texts = []
    for oldest in (chunk(clock), old, chunk(clock)):
        look(backlog, buffer, oldest)
        texts.append(notes["buffer"])

    assert texts == ["", f"1 chunk waits, the oldest for 2 min: {old}", ""]


def test_a_chunk_that_stays_the_oldest_is_named_once(
    backlog: Backlog, buffer: FakeBuffer, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stuck = chunk(clock)
    for _ in range(100):
        clock.advance(LOOK_SECONDS)
        look(backlog, buffer, stuck, chunk(clock))
    look(backlog, buffer, chunk(clock))

    assert [record.getMessage() for record in caplog.records] == [
        f"The chunk {stuck} (tag kube.events.normal) has waited in Fluent Bit's buffer for"
        f" {(STUCK_SECONDS + LOOK_SECONDS) / 60:.0f} min: Fluent Bit's log names the output that"
        " does not take it",
        "The chunk has left Fluent Bit's buffer",
    ]


def test_old_chunks_that_leave_one_by_one_are_not_named(
    backlog: Backlog, buffer: FakeBuffer, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage is over, and what waited goes out."""
    chunks = [chunk(clock, age_seconds=9000, number=number) for number in range(50)]
    while chunks:
        look(backlog, buffer, *chunks)
        clock.advance(LOOK_SECONDS)
        del chunks[0]

    assert not caplog.records


# --- required and optional outputs


def test_what_waits_for_optional_outputs_is_counted_and_named_by_itself(
    backlog: Backlog,
    buffer: FakeBuffer,
    metrics: Metrics,
    notes: dict[str, str],
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that is down for a day must not hide a required one that has begun to fail."""
    optional = chunk(clock, age_seconds=86_400, folder="forward.1")
    for _ in range(round(STUCK_SECONDS / LOOK_SECONDS) + 1):
        look(backlog, buffer, optional, chunk(clock, age_seconds=9), chunk(clock))
        clock.advance(LOOK_SECONDS)

    assert gauge(metrics, "chunks") == 2
    assert gauge(metrics, "chunks", outputs="optional") == 1
    assert gauge(metrics, "oldest_chunk_timestamp_seconds", outputs="optional") < (
        gauge(metrics, "oldest_chunk_timestamp_seconds")
    )
    assert notes["buffer"] == ""
    assert optional in notes["buffer, optional outputs"]
    assert [optional in record.getMessage() for record in caplog.records] == [True]
    assert backlog.chunks == 3  # Fluent Bit has room for so many in all
