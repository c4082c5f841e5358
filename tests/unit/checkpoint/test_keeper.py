"""The keeper: what it says of the buffer at the end is so."""

from __future__ import annotations

import pytest

from eventrouter.checkpoint.keeper import Keeper
from eventrouter.checkpoint.stores import Checkpoint
from eventrouter.errors import CheckpointError, Deposed
from eventrouter.forward.batch import Position
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock


class FakeBuffer:
    """Holds what a test puts there; None cannot be read."""

    def __init__(self) -> None:
        self.held: frozenset[str] | None = frozenset()

    def identity(self) -> str:
        return "buffer"

    def chunks(self) -> frozenset[str]:
        if self.held is None:
            raise PermissionError("not for you")
        return self.held


class FakeWriter:
    """Remembers what was saved."""

    def __init__(self) -> None:
        self.saved: list[Checkpoint] = []
        self.error: CheckpointError | None = None

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        if self.error is not None:
            raise self.error
        self.saved.append(checkpoint)


@pytest.fixture
def buffer() -> FakeBuffer:
    return FakeBuffer()


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter()


@pytest.fixture
def keeper(buffer: FakeBuffer, writer: FakeWriter, metrics: Metrics, clock: FakeClock) -> Keeper:
    return Keeper(
        writer=writer,
        buffer=buffer,
        scope="scope",
        metrics=metrics,
        pulse=Pulse(clock),
        clock=clock,
    )


def test_a_buffer_with_a_chunk_that_was_never_acknowledged_is_not_called_empty(
    keeper: Keeper, buffer: FakeBuffer, writer: FakeWriter
) -> None:
    """Nor is it waited for: without an ack there is no position that it could seal."""
    buffer.held = frozenset({"unacknowledged.flb"})

    assert keeper.seal(0) is False
    assert writer.saved == []


def test_a_chunk_without_an_ack_does_not_keep_what_is_acked_from_being_sealed(
    keeper: Keeper, buffer: FakeBuffer, writer: FakeWriter
) -> None:
    keeper.acked({"": Position("7")})
    buffer.held = frozenset({"7.flb"})
    assert keeper.settle() is False
    buffer.held = frozenset({"unacknowledged.flb"})

    assert keeper.seal(0) is False
    assert writer.saved[-1].delivered == {"": "7"}


def test_an_empty_buffer_is_called_empty_and_seals_what_is_acked(
    keeper: Keeper, writer: FakeWriter
) -> None:
    assert keeper.seal(0) is True
    keeper.acked({"": Position("7")})

    assert keeper.seal(0) is True
    assert writer.saved[-1].delivered == {"": "7"}


def test_a_buffer_that_cannot_be_read_is_not_called_empty(
    keeper: Keeper, buffer: FakeBuffer, caplog: pytest.LogCaptureFixture
) -> None:
    buffer.held = None

    assert keeper.seal(0) is False
    assert "cannot look into the sidecar's buffer" in caplog.text


def test_one_that_leads_no_longer_does_not_complain_about_the_checkpoint(
    keeper: Keeper, writer: FakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """Another one writes it now. The election has said so, and nobody tries again."""
    writer.error = Deposed("no longer the leader")
    keeper.acked({"": Position("7")})

    keeper.settle()

    assert not caplog.records


def test_a_checkpoint_that_cannot_be_written_is_said_once(
    keeper: Keeper, writer: FakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    writer.error = CheckpointError("disk full")
    keeper.acked({"": Position("7")})

    keeper.settle()
    keeper.settle()

    assert [record.message for record in caplog.records] == ["disk full; trying again"]
