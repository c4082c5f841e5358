"""How often to ask, and how long to wait."""

from __future__ import annotations

from eventrouter.enrich.allowance import PATIENCE_SECONDS, Allowance, patience


def taken(allowance: Allowance, now: float, tries: int = 1000) -> int:
    return sum(allowance.take(now) for _ in range(tries))


def test_a_burst_is_allowed_and_then_so_many_a_second() -> None:
    allowance = Allowance(10)

    assert taken(allowance, 50.0) == 40
    assert taken(allowance, 50.5) == 5
    assert taken(allowance, 51.5) == 10
    assert taken(allowance, 9999.0) == 40


def test_nothing_is_asked_for_while_the_server_wants_peace() -> None:
    allowance = Allowance(10)
    allowance.pause(60.0)
    allowance.pause(55.0)

    assert taken(allowance, 59.9) == 0
    assert taken(allowance, 60.0) == 40


def test_patience_runs_out_and_comes_back_slowly() -> None:
    budget = patience()
    budget.spend(PATIENCE_SECONDS, 50.0)

    assert budget.left(50.0) == 0
    assert budget.left(51.0) == 0.1
    assert budget.left(999.0) == PATIENCE_SECONDS
