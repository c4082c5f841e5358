"""How far each namespace has come, also when the API server's history goes back."""

from __future__ import annotations

import pytest

from eventrouter.checkpoint.contents import Checkpoint
from eventrouter.checkpoint.reached import Reached
from eventrouter.forward.batch import Position

KEPT = Checkpoint("source", "buffer", {"a": "20", "gone": "9"}, {"a": "10", "gone": "9"})


@pytest.fixture
def reached() -> Reached:
    return Reached(KEPT, followed={"a", "b"})


def test_it_begins_with_what_it_took_over_and_has_nothing_new_to_write(reached: Reached) -> None:
    """Positions of a namespace that is no longer followed are kept: it may be again."""
    assert reached.checkpoint() == KEPT
    assert reached.changes == 0


def test_what_is_acked_is_delivered_later(reached: Reached) -> None:
    reached.ack({"a": Position("30")})
    was_delivered = reached.is_delivered

    reached.deliver(reached.acked)

    assert (was_delivered, reached.is_delivered) == (False, True)
    assert reached.checkpoint().delivered == {"a": "30", "gone": "9"}


def test_the_same_again_is_no_change(reached: Reached) -> None:
    reached.ack({"a": Position("30")})
    changes = reached.changes

    reached.ack({"a": Position("30")})

    assert reached.changes == changes > 0


def test_where_a_list_began_is_known_until_something_of_it_is_delivered(reached: Reached) -> None:
    reached.begin("b", "15")
    reached.ack({"b": Position("16")})
    assert reached.checkpoint().started == {"b": "15"}

    reached.deliver(reached.acked)

    assert reached.checkpoint().started == {}


def test_a_history_that_went_back_takes_the_positions_of_its_namespace_along(
    reached: Reached,
) -> None:
    reached.ack({"a": Position("30"), "b": Position("31")})
    reached.begin("b", "3")

    reached.go_back("a", 1)

    assert reached.checkpoint() == Checkpoint("source", "buffer", {"b": "31"}, {}, {"b": "3"})


def test_positions_of_the_undone_history_that_come_late_change_nothing(reached: Reached) -> None:
    """Their acks were on the way, or their chunks waited for an output."""
    waiting = reached.acked | {"a": Position("1008")}
    reached.ack({"a": Position("1008")})
    reached.go_back("a", 1)
    changes = reached.changes

    reached.ack({"a": Position("1009", history=0)})
    reached.deliver(waiting)

    assert reached.changes == changes
    assert "a" not in reached.checkpoint().acked
    reached.ack({"a": Position("1004", history=1)})
    reached.deliver(reached.acked)
    assert reached.checkpoint().delivered == {"a": "1004"}


def test_a_second_namespace_that_goes_back_leaves_the_first_one_s_new_history(
    reached: Reached,
) -> None:
    reached.go_back("a", 1)
    reached.begin("a", "5")
    reached.ack({"a": Position("6", history=1)})

    reached.go_back("b", 1)

    assert reached.checkpoint() == Checkpoint("source", "buffer", {"a": "6"}, {}, {"a": "5"})


def test_namespaces_that_nobody_follows_now_lose_the_undone_history_too(reached: Reached) -> None:
    """Nobody would notice for them, and a later run would go on from there."""
    waiting = reached.acked

    reached.go_back("a", 1)
    reached.deliver(waiting)

    assert reached.checkpoint() == Checkpoint("source", "buffer")
