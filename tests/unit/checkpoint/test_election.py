"""The election: one leader at a time, by a local clock, and a checkpoint that only it can write."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eventrouter.checkpoint.contents import NOT_UNDERSTOOD, Checkpoint
from eventrouter.checkpoint.election import Election
from eventrouter.checkpoint.keeper import ROUND_SECONDS
from eventrouter.clock import Alarm
from eventrouter.errors import ApiError, CheckpointError
from eventrouter.kube.lease import (
    ANNOTATION,
    DURATION_SECONDS,
    RENEW_DEADLINE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    LeaseRecord,
)
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock
from tests.support.waiting import DEADLINE, eventually


class FakeLease:
    """One Lease as an API server keeps it: a write must name the version that it changes."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self.version = 0
        self.is_down = False
        self.writes = 0
        self.before_write = lambda: None

    def read(self) -> LeaseRecord:
        self._answer()
        return LeaseRecord(copy.deepcopy(self.body or {"metadata": {"name": "eventrouter"}}))

    def write(self, record: LeaseRecord) -> LeaseRecord:
        self.before_write()
        self._answer()
        named = record.body["metadata"].get("resourceVersion")
        if self.body is None and named is not None:
            raise ApiError("not found", reason="not_found", status=404)
        if self.body is not None and named != self.body["metadata"]["resourceVersion"]:
            raise ApiError("changed meanwhile", reason="conflict", status=409)
        self.version += 1
        self.writes += 1
        self.body = copy.deepcopy(record.body)
        self.body["metadata"]["resourceVersion"] = str(self.version)
        return LeaseRecord(copy.deepcopy(self.body))

    def _answer(self) -> None:
        if self.is_down:
            raise ApiError("cannot reach the server", reason="unreachable")

    @property
    def spec(self) -> dict[str, Any]:
        assert self.body is not None
        spec: dict[str, Any] = self.body["spec"]
        return spec

    @property
    def holder(self) -> str:
        return str(self.spec["holderIdentity"])


class Candidate(Alarm):
    """A candidate whose turns are taken one by one, each followed by the wait that it asks for."""

    def __init__(self, lease: FakeLease, clock: FakeClock, identity: str) -> None:
        super().__init__()
        self.elected: list[Checkpoint | None] = []
        self.losses = 0
        self.metrics = Metrics()
        self.waits: list[float] = []
        self.notes: list[str] = []
        self.wakes = 0
        self.spreads: list[tuple[float, float]] = []
        self._clock = clock
        self._turns = 0
        self.election = Election(
            lease=lease,
            identity=identity,
            on_elected=self.elected.append,
            on_lost=self._lose,
            metrics=self.metrics,
            pulse=Pulse(clock),
            contact=Pulse(clock),
            note=self.notes.append,
            stop=self,
            clock=clock,
            uniform=self._uniform,
        )

    def turn(self, turns: int = 1) -> None:
        self._turns = turns
        self.election.run()

    def save(self, checkpoint: Checkpoint) -> None:
        """As the keeper does, in its own thread, two seconds after the last renewal."""
        self._clock.advance(RETRY_SECONDS)
        wakes, now = self.wakes, self._clock.time()
        with ThreadPoolExecutor(1) as keeper:
            saving = keeper.submit(self.election.save, checkpoint, now=now)
            eventually(lambda: saving.done() or self.wakes > wakes)
            if not saving.done():
                self.turn()
            saving.result(timeout=10)

    def wake(self) -> None:
        self.wakes += 1

    def is_set(self) -> bool:
        return self._turns == 0

    def wait(self, timeout: float | None = None) -> bool:
        self._turns -= 1
        assert timeout is not None
        self.waits.append(timeout)
        return self.is_set()

    def _uniform(self, low: float, high: float) -> float:
        self.spreads.append((low, high))
        return low

    def _lose(self) -> None:
        self.losses += 1


Make = Callable[[str], Candidate]


@pytest.fixture
def lease() -> FakeLease:
    return FakeLease()


@pytest.fixture
def candidate(lease: FakeLease, clock: FakeClock) -> Make:
    return lambda identity: Candidate(lease, clock, identity)


def checkpoint(position: str) -> Checkpoint:
    return Checkpoint("source", "buffer", {"": position}, {"": position})


def deposed_and_leader(candidate: Make, clock: FakeClock) -> tuple[Candidate, Candidate]:
    """One that led and does not know yet that it no longer does, and the one that leads now."""
    a, b = candidate("a"), candidate("b")
    a.turn()
    b.turn()
    clock.advance(DURATION_SECONDS)
    b.turn()
    return a, b


def test_the_first_one_leads_at_once_and_creates_the_lease(
    candidate: Make, lease: FakeLease
) -> None:
    a = candidate("a")

    a.turn()

    assert a.election.is_leading()
    assert a.elected == [None]
    assert lease.holder == "a"
    assert lease.spec["leaseDurationSeconds"] == DURATION_SECONDS


def test_a_second_one_stands_by_while_the_first_renews(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a, b = candidate("a"), candidate("b")
    a.turn()

    for _ in range(20):
        b.turn()
        clock.advance(RENEW_SECONDS)
        a.turn()

    assert a.election.is_leading()
    assert not b.election.is_leading()
    assert b.elected == []
    assert lease.spec["leaseTransitions"] == 1


def test_a_standby_says_who_leads_until_it_leads_itself(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a, b = candidate("a"), candidate("b")
    a.turn()
    b.turn()
    assert b.notes == ["a leads"]

    a.election.release()
    b.turn()
    assert b.notes == ["a leads", ""]
    assert a.notes == [""]


def test_a_lease_that_nobody_renews_passes_on_after_its_duration_and_not_before(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """Measured from when the standby saw it change, by its own clock."""
    a, b = candidate("a"), candidate("b")
    a.turn()
    b.turn()

    clock.advance(DURATION_SECONDS - 0.1)
    b.turn()
    assert b.elected == []

    clock.advance(0.2)
    b.turn()
    assert b.election.is_leading()
    assert lease.spec["leaseTransitions"] == 2


def test_a_leader_stops_leading_before_its_lease_can_pass_on(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """To the moment, though its thread hangs in a request or the process was frozen."""
    a = candidate("a")
    a.turn()

    clock.advance(RENEW_DEADLINE_SECONDS)

    assert RENEW_DEADLINE_SECONDS < DURATION_SECONDS
    assert not a.election.is_leading()
    with pytest.raises(CheckpointError, match="no longer the leader"):
        a.save(checkpoint("7"))


def test_a_leader_that_cannot_renew_stands_by_in_the_same_process_and_leads_again(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a = candidate("a")
    a.turn()
    lease.is_down = True
    while a.election.is_leading():
        clock.advance(RETRY_SECONDS)
        a.turn()
    assert a.losses == 1

    lease.is_down = False
    a.turn()

    assert a.election.is_leading()
    assert len(a.elected) == 2


def test_a_restarted_container_takes_its_own_lease_at_once(candidate: Make) -> None:
    candidate("a").turn()

    again = candidate("a")
    again.turn()

    assert again.election.is_leading()


def test_the_checkpoint_is_written_with_the_renewal_and_read_by_the_next_leader(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a, b = candidate("a"), candidate("b")
    a.turn()
    writes = lease.writes
    a.save(checkpoint("42"))
    assert lease.writes == writes + 1

    b.turn()
    clock.advance(DURATION_SECONDS)
    b.turn()

    assert b.elected == [checkpoint("42")]


def test_a_deposed_leader_cannot_write_the_checkpoint(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """Its write names a version of the Lease that is no longer the current one."""
    a, b = deposed_and_leader(candidate, clock)
    b.save(checkpoint("50"))
    stale = LeaseRecord({"metadata": {"name": "eventrouter", "resourceVersion": "1"}})

    with pytest.raises(ApiError, match="changed meanwhile"):
        lease.write(stale.held_by("a", now=clock.time(), checkpoint=b"{}"))
    with pytest.raises(CheckpointError):
        a.save(checkpoint("49"))
    a.turn()

    assert a.losses == 1
    assert lease.holder == "b"
    assert '"50"' in LeaseRecord(lease.body or {}).body["metadata"]["annotations"][ANNOTATION]


def test_a_leader_whose_lease_was_led_and_released_by_another_does_not_renew_it(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """The free lease holds a newer checkpoint: to renew would put the older one in its place."""
    a, b = deposed_and_leader(candidate, clock)
    b.save(checkpoint("50"))
    b.election.release()
    a.election._renewed_at = clock.monotonic()  # as if its clock had stood still meanwhile

    with pytest.raises(CheckpointError):
        a.save(checkpoint("49"))

    assert not a.election.is_leading()
    assert lease.holder == ""


def test_a_released_lease_is_taken_at_once(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a, b = candidate("a"), candidate("b")
    a.turn()
    b.turn()
    a.save(checkpoint("9"))

    a.election.release()
    b.turn()

    assert b.election.is_leading()
    assert b.elected == [checkpoint("9")]


@pytest.mark.parametrize("change", ["deleted", "annotation removed"])
def test_a_standby_goes_on_from_the_checkpoint_that_it_saw_when_the_lease_has_none_any_more(
    candidate: Make, lease: FakeLease, clock: FakeClock, change: str
) -> None:
    """It is in the lease again at once: the next one to lead may have seen nothing."""
    a, b = candidate("a"), candidate("b")
    a.turn()
    a.save(checkpoint("5"))
    b.turn()
    a.save(checkpoint("8"))
    b.turn()
    assert lease.body is not None
    if change == "deleted":
        lease.body = None
        b.turn()
    else:
        del lease.body["metadata"]["annotations"]
    clock.advance(DURATION_SECONDS)

    b.turn()

    assert b.elected == [checkpoint("8")]
    assert '"8"' in (lease.body or {})["metadata"]["annotations"][ANNOTATION]


def test_a_standby_that_saw_garbage_before_the_lease_was_deleted_knows_that_a_position_is_lost(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """A plain first list would take the states in between for ones that never were."""
    a, b = candidate("a"), candidate("b")
    a.turn()
    assert lease.body is not None
    lease.body["metadata"]["annotations"] = {ANNOTATION: "{rubbish"}
    b.turn()
    lease.body = None
    b.turn()
    clock.advance(DURATION_SECONDS)

    b.turn()

    assert b.elected == [NOT_UNDERSTOOD]


def test_one_that_led_goes_on_from_its_own_checkpoint_when_the_lease_was_deleted_in_an_outage(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a = candidate("a")
    a.turn()
    a.save(checkpoint("5"))
    lease.is_down = True
    clock.advance(RENEW_DEADLINE_SECONDS)
    a.turn()
    lease.is_down, lease.body = False, None

    a.turn()

    assert a.elected == [None, checkpoint("5")]


@pytest.mark.parametrize("change", ["edited", "deleted", "emptied"])
def test_a_leader_keeps_its_lease_when_somebody_touches_it(
    candidate: Make, lease: FakeLease, clock: FakeClock, change: str
) -> None:
    a = candidate("a")
    a.turn()
    a.save(checkpoint("5"))
    assert lease.body is not None
    if change == "deleted":
        lease.body = None
    else:
        lease.body["metadata"]["resourceVersion"] = "elsewhere"
        if change == "emptied":
            del lease.body["spec"]

    clock.advance(RENEW_SECONDS)
    a.turn()

    assert a.election.is_leading()
    assert lease.holder == "a"
    assert '"5"' in (lease.body or {})["metadata"]["annotations"][ANNOTATION]


def test_a_lease_that_is_deleted_while_its_leader_stops_is_not_made_anew(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """An uninstall deletes it and then stops the pod: nothing may be left behind."""
    a = candidate("a")
    a.turn()
    a.election.end()
    lease.body = None

    with pytest.raises(CheckpointError):
        a.save(checkpoint("5"))
    clock.advance(RENEW_SECONDS)
    a.turn()
    assert a.election.is_leading()  # what is queued may still be sent
    a.election.release()

    assert lease.body is None


def test_garbage_in_the_annotation_is_no_checkpoint(candidate: Make, lease: FakeLease) -> None:
    a = candidate("a")
    lease.body = {
        "metadata": {"resourceVersion": "1", "annotations": {ANNOTATION: "{rubbish"}},
    }

    a.turn()

    assert a.elected == [NOT_UNDERSTOOD]


def test_an_outage_is_logged_once(
    candidate: Make, lease: FakeLease, caplog: pytest.LogCaptureFixture
) -> None:
    lease.is_down = True

    candidate("a").turn(turns=5)

    assert caplog.text.count("cannot reach the server") == 1


def test_standbys_do_not_all_try_at_once(candidate: Make, clock: FakeClock) -> None:
    """The wait between two looks is spread by a jitter; a leader renews at an even pace."""
    a, b = candidate("a"), candidate("b")

    for _ in range(3):
        a.turn()
        clock.advance(RENEW_SECONDS)
    b.turn()

    assert a.waits == [RENEW_SECONDS] * 3
    assert b.spreads[0][0] < b.spreads[0][1]


def test_a_checkpoint_every_few_seconds_is_all_the_renewal_that_a_lease_needs(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a = candidate("a")
    a.turn()
    writes = lease.writes
    overdue = RENEW_SECONDS - ROUND_SECONDS  # when a renewal would be due without a checkpoint

    for number in range(20):
        clock.advance(ROUND_SECONDS - RETRY_SECONDS - overdue)
        a.save(checkpoint(str(number)))
        clock.advance(overdue)
        a.turn()

    assert ROUND_SECONDS < RENEW_SECONDS
    assert lease.writes == writes + 20
    assert a.election.is_leading()


def test_however_often_checkpoints_are_saved_a_lease_is_written_once_in_two_seconds(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """Those that come too soon wait, and are one write."""
    a = candidate("a")
    a.turn()
    writes = lease.writes
    with ThreadPoolExecutor(20) as pool:
        saves = [
            pool.submit(a.election.save, checkpoint(str(number)), now=clock.time())
            for number in range(20)
        ]
        eventually(lambda: len(a.election._renewed._waiters) == 20)  # type: ignore[attr-defined]
        a.turn()
        assert lease.writes == writes
        assert a.waits[-1] == RETRY_SECONDS == 2.0
        clock.advance(a.waits[-1])
        a.turn()
        for save in saves:
            save.result(timeout=10)

    assert lease.writes == writes + 1
    assert a.wakes == 20


@pytest.mark.parametrize("seconds_of_a_try", [0.0, 0.4, 1.9])
@pytest.mark.parametrize("begins", [0.0, ROUND_SECONDS, RENEW_SECONDS - 0.01])
def test_a_leader_survives_an_api_server_that_refuses_all_requests_for_five_seconds(
    candidate: Make,
    lease: FakeLease,
    clock: FakeClock,
    seconds_of_a_try: float,
    begins: float,
) -> None:
    """Whenever that begins, and however long each refusal takes."""
    a = candidate("a")
    a.turn()
    down_at = clock.monotonic() + begins

    def refuse() -> None:
        lease.is_down = down_at <= clock.monotonic() < down_at + 5.0
        clock.advance(seconds_of_a_try if lease.is_down else 0.0)

    lease.before_write = refuse
    while clock.monotonic() < down_at + 5.0:
        clock.advance(a.waits[-1])
        a.turn()

    assert a.losses == 0
    assert a.election.is_leading()


def test_a_leader_whose_requests_hang_tries_again_at_once(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """Tries begin two seconds apart, or after one another if one takes longer."""
    a = candidate("a")
    a.turn()
    lease.is_down = True
    lease.before_write = lambda: clock.advance(3.0)
    clock.advance(RENEW_SECONDS)

    a.turn(turns=2)

    assert a.waits[-2:] == [0.0, 0.0]
    assert a.election.is_leading()


def test_the_leadership_is_given_up_at_the_deadline_and_not_at_the_next_try(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a = candidate("a")
    a.turn()
    lease.is_down = True
    began = clock.monotonic()
    while not a.losses:
        clock.advance(a.waits[-1])
        a.turn()

    assert clock.monotonic() == began + RENEW_DEADLINE_SECONDS


def test_a_checkpoint_is_tried_again_two_seconds_after_a_try_that_failed(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a = candidate("a")
    a.turn()
    lease.is_down = True
    with pytest.raises(CheckpointError, match="cannot reach"):
        a.save(checkpoint("5"))
    assert a.waits[-1] == RETRY_SECONDS
    lease.is_down = False
    writes = lease.writes

    clock.advance(RETRY_SECONDS)
    a.turn()

    assert lease.writes == writes + 1
    assert a.waits[-1] == RENEW_SECONDS


def test_a_standby_leaves_a_deleted_lease_to_its_holder_for_as_long_as_a_renewal_may_take(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """Else two would lead until the holder's next renewal."""
    a, b = candidate("a"), candidate("b")
    a.turn()
    b.turn()
    lease.body = None

    b.turn()
    clock.advance(RENEW_SECONDS)
    b.turn()
    assert b.notes[-1] == "the Lease is gone, and its holder may write it anew"
    a.turn()
    b.turn()
    assert lease.holder == "a"
    assert b.elected == []

    lease.body = None
    b.turn()
    clock.advance(RENEW_SECONDS + RETRY_SECONDS)
    b.turn()
    assert lease.holder == "b"


def test_a_lease_that_somebody_edited_is_released_all_the_same(
    candidate: Make, lease: FakeLease
) -> None:
    a = candidate("a")
    a.turn()
    assert lease.body is not None
    lease.body["metadata"]["resourceVersion"] = "elsewhere"

    a.election.release()

    assert lease.holder == ""


def test_a_lease_that_another_one_took_meanwhile_is_not_released(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    a, _ = deposed_and_leader(candidate, clock)
    a.election._renewed_at = clock.monotonic()  # as if its clock had stood still meanwhile

    a.election.release()

    assert lease.holder == "b"


def test_a_renewal_that_hangs_holds_up_no_stop(
    candidate: Make,
    lease: FakeLease,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As in a name server that is silent, or in an exec plugin."""
    monkeypatch.setattr("eventrouter.checkpoint.election.RETRY_SECONDS", 0.05)
    a = candidate("a")
    a.turn()
    hangs, is_over = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert is_over.wait(DEADLINE)

    lease.before_write = hang
    clock.advance(RENEW_SECONDS)
    with ThreadPoolExecutor(2) as threads:
        renewing = threads.submit(a.turn)
        assert hangs.wait(DEADLINE)
        try:
            threads.submit(a.election.release).result(timeout=DEADLINE / 2)
            assert not renewing.done()
        finally:
            is_over.set()
        renewing.result(timeout=DEADLINE)

    assert "Could not release the lease" in caplog.text


def test_at_the_end_a_checkpoint_is_written_at_once(
    candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """A stop does not wait for the next renewal."""
    a = candidate("a")
    a.turn()
    a.election.end()

    a.election.save(checkpoint("5"), now=clock.time())

    assert '"5"' in (lease.body or {})["metadata"]["annotations"][ANNOTATION]


def test_a_renewal_that_fails_is_told_to_whoever_waits_for_it(
    candidate: Make, lease: FakeLease
) -> None:
    a = candidate("a")
    a.turn()
    lease.is_down = True

    with pytest.raises(CheckpointError, match="cannot reach the server"):
        a.save(checkpoint("5"))

    lease.is_down = False
    a.save(checkpoint("6"))


@pytest.mark.parametrize("took", [2, 0.9], ids=["after it", "just before it"])
def test_a_renewal_that_succeeds_at_the_deadline_or_after_it_is_too_late(
    took: float, candidate: Make, lease: FakeLease, clock: FakeClock
) -> None:
    """Others saw that it leads no longer, and acted: the sender has ended for good by then. Just
    before the deadline they may see it before the thread that renews gets to say otherwise.
    """
    a = candidate("a")
    a.turn()
    clock.advance(RENEW_DEADLINE_SECONDS - 1)
    lease.before_write = lambda: clock.advance(took)

    a.turn()
    assert a.losses == 1
    assert not a.election.is_leading()

    lease.before_write = lambda: None
    a.turn()
    assert a.election.is_leading()
    assert len(a.elected) == 2
