"""The old states: the last one of each event, within so many bytes."""

from __future__ import annotations

import gc
import tracemalloc
import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from eventrouter.capture.states import OldStates

ROOMY = 1 << 18

uids = st.sampled_from("abcdefgh")
puts = st.lists(st.tuples(uids, st.binary(max_size=600)), max_size=40)


@given(puts, st.integers(1, 4000))
@example([("a", b""), ("b", b"\0")], 250)
def test_the_states_are_the_latest_ones_and_never_more_bytes_than_allowed(
    sequence: list[tuple[str, bytes]], max_bytes: int
) -> None:
    """Whatever is known is what was put last, and what was seen least lately goes first.

    But for a state that fits by no means: it is not kept, and takes nothing with it.
    """
    states = OldStates(max_bytes)
    latest: dict[str, bytes] = {}

    for uid, state in sequence:
        states.put(uid, state)
        latest.pop(uid, None)
        if OldStates(max_bytes).fits(state):
            latest[uid] = state
        else:
            assert uid not in states

        known = [uid for uid in latest if uid in states]
        assert known == list(latest)[len(latest) - len(known) :]
        assert len(states) == len(known)
        assert all(states.get(uid) == latest[uid] for uid in known)
        assert sum(len(latest[uid]) for uid in known) <= max_bytes


@given(puts)
def test_nothing_is_forgotten_while_there_is_room(sequence: list[tuple[str, bytes]]) -> None:
    """However often a state is replaced: its old bytes no longer count."""
    states = OldStates(8 * (600 + 400))

    for uid, state in sequence * 20:
        states.put(uid, state)

    assert {uid: states.get(uid) for uid, _ in sequence} == dict(sequence)


def test_reading_a_state_does_not_keep_it() -> None:
    """Least recently seen, not least recently asked for: the order is that of the events."""
    states = OldStates(2500)
    states.put("first", bytes(1000))
    states.put("second", bytes(1000))

    states.get("first")
    states.put("third", bytes(1000))

    assert "first" not in states
    assert "third" in states


def test_a_state_seen_again_moves_to_the_end() -> None:
    states = OldStates(2500)
    states.put("first", bytes(1000))
    states.put("second", bytes(1000))

    states.put("first", bytes(1000))
    states.put("third", bytes(1000))

    assert "first" in states
    assert "second" not in states


def test_the_bytes_allowed_are_about_the_memory_taken() -> None:
    """Small states and large ones: what python needs around them counts as well."""
    for size in (0, 40, 1500):
        gc.collect()
        tracemalloc.start()
        try:
            states = OldStates(ROOMY)
            for number in range(2000):
                states.put(str(uuid.UUID(int=number)), bytes(size))
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert len(states) < 2000
        assert 0.3 * ROOMY < taken < 1.25 * ROOMY, size


def test_no_bytes_turn_it_off() -> None:
    states = OldStates(0)

    states.put("uid", b"")

    assert not states.enabled
    assert len(states) == 0
    assert states.get("uid") is None


def test_what_is_allowed_bytes_is_on() -> None:
    assert OldStates(1).enabled


def test_an_event_without_a_uid_has_no_old_state() -> None:
    """Else all events without one would be taken for the same."""
    states = OldStates(ROOMY)

    states.put("", b"state")

    assert states.get("") is None


def test_clear_forgets_all_and_makes_all_room() -> None:
    states = OldStates(2500)
    states.put("first", bytes(2000))

    states.clear()
    states.put("second", bytes(1000))
    states.put("third", bytes(1000))

    assert (len(states), states.get("first")) == (2, None)


# --- lists


def test_what_a_list_has_not_shown_yet_is_known_of_and_no_old_state() -> None:
    states = OldStates(ROOMY)
    states.put("shown", b"before")
    states.put("not shown", b"before")

    states.begin_list()
    assert states.was_known("shown")
    states.put("shown", b"again")

    assert (states.get("shown"), states.get("not shown")) == (b"again", None)
    assert states.was_known("not shown")
    assert not states.was_known("never heard of")


def test_after_a_list_what_it_has_not_shown_is_forgotten() -> None:
    states = OldStates(ROOMY)
    states.put("gone", b"before")
    states.begin_list()
    states.put("shown", b"now")
    states.end_list()

    assert not states.was_known("gone")
    assert (states.get("gone"), states.get("shown")) == (None, b"now")


def test_a_list_that_begins_again_knows_of_all_that_was_known() -> None:
    states = OldStates(ROOMY)
    states.put("before", b"1")
    states.begin_list()
    states.put("in the first try", b"2")
    states.begin_list()

    assert states.was_known("before")
    assert states.was_known("in the first try")
    assert len(states) == 0


@given(puts, puts, st.integers(300, 4000))
def test_in_a_list_too_there_are_never_more_bytes_than_allowed(
    before: list[tuple[str, bytes]], shown: list[tuple[str, bytes]], max_bytes: int
) -> None:
    """What has not been shown makes room first; and after the list all the room is there again."""
    states = OldStates(max_bytes)
    for uid, state in before:
        states.put(uid, state)
    states.begin_list()
    alone = OldStates(max_bytes)
    for uid, state in shown:
        states.put(uid, state)
        alone.put(uid, state)
        kept = {uid for uid, _ in shown if uid in states}
        assert kept == {uid for uid, _ in shown if uid in alone}
    assert states.is_full == alone.is_full

    states.end_list()
    states.clear()
    for uid, state in before:
        states.put(uid, state)
        alone.put(uid, state)
    states.begin_list()
    states.end_list()

    assert states._bytes == 0
