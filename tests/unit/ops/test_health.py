"""Alive and ready are two questions: an outage of somebody else must not become our crash loop."""

from __future__ import annotations

import pytest

from eventrouter.capture.reflector import WATCH_SECONDS
from eventrouter.ops.health import CONTACT_SECONDS, TURN_SECONDS, Health, Pulse
from tests.support.clock import FakeClock


@pytest.fixture
def health(clock: FakeClock) -> Health:
    return Health(clock)


def test_a_dead_link_is_seen_within_two_minutes_by_whoever_asks_every_ten_seconds() -> None:
    assert CONTACT_SECONDS + 10 <= 120


def test_a_watch_in_which_nothing_happens_is_no_dead_link() -> None:
    """The server ends it, and its answer to the next one is a sign of life."""
    assert CONTACT_SECONDS > WATCH_SECONDS * 1.1


def test_a_thread_may_rightly_wait_for_a_whole_watch() -> None:
    """Its read timeout is 114 s. A limit below that would restart a healthy watcher."""
    assert TURN_SECONDS > 2 * 114


def test_a_pulse_has_no_age_before_its_first_beat(clock: FakeClock) -> None:
    pulse = Pulse(clock)
    assert pulse.age() is None

    pulse.beat()
    clock.advance(7)
    assert pulse.age() == 7

    pulse.beat()
    assert pulse.age() == 0


def test_a_thread_that_turns_is_well_and_one_that_stands_still_is_not(
    health: Health, clock: FakeClock
) -> None:
    turning, _ = health.thread("sender"), health.thread("keeper")

    clock.advance(TURN_SECONDS)
    assert health.ailing() == []
    turning.beat()
    clock.advance(1)

    (complaint,) = health.ailing()
    assert "keeper" in complaint
    assert f"{TURN_SECONDS + 1:.0f} s" in complaint


def test_a_thread_that_never_turned_at_all_is_not_well(health: Health, clock: FakeClock) -> None:
    """Its life begins when it is announced, so that one that never started is seen as well."""
    health.thread("sender")

    clock.advance(TURN_SECONDS + 1)

    assert len(health.ailing()) == 1


def test_a_link_is_down_until_it_has_answered_once(health: Health) -> None:
    link = health.link("sidecar")
    assert [complaint.partition(":")[0] for complaint in health.unready()] == ["sidecar"]

    link.beat()

    assert health.unready() == []


def test_a_link_that_is_silent_too_long_makes_us_unready_and_never_ill(
    health: Health, clock: FakeClock
) -> None:
    health.link("sidecar").beat()

    clock.advance(CONTACT_SECONDS)
    assert health.unready() == []
    clock.advance(1)

    (complaint,) = health.unready()
    assert "sidecar" in complaint
    assert f"{CONTACT_SECONDS + 1:.0f} s" in complaint
    clock.advance(100 * TURN_SECONDS)
    assert health.ailing() == []


def test_every_silent_link_is_named(health: Health) -> None:
    health.link("events of shop")
    health.link("sidecar")

    assert {complaint.partition(":")[0] for complaint in health.unready()} == {
        "events of shop",
        "sidecar",
    }


def test_whoever_is_ill_is_not_ready(health: Health, clock: FakeClock) -> None:
    health.thread("sender")
    health.link("sidecar").beat()

    clock.advance(TURN_SECONDS + 1)
    health.link("sidecar").beat()

    assert health.unready() == health.ailing() != []


def test_parts_count_until_they_are_dropped(health: Health, clock: FakeClock) -> None:
    """A leader's threads and links end with its leadership: nothing of them can ail any more."""
    for part in (health.part(), health.part()):
        part.thread("sender")
        part.link("sidecar")
    health.link("lease")
    clock.advance(TURN_SECONDS + 1)
    assert (len(health.ailing()), len(health.unready())) == (2, 2 + 2 + 1)

    health.drop_parts()

    assert health.ailing() == []
    assert [complaint.partition(":")[0] for complaint in health.unready()] == ["lease"]


def test_a_note_is_told_and_makes_nobody_unready(health: Health) -> None:
    part = health.part()
    part.note("buffer", "2 chunks wait")
    assert health.notes() == ["buffer: 2 chunks wait"]
    assert health.unready() == health.ailing() == []

    part.note("buffer", "")

    assert health.notes() == []


def test_the_notes_of_a_part_end_with_it(health: Health) -> None:
    health.part().note("buffer", "2 chunks wait")

    health.drop_parts()

    assert health.notes() == []
