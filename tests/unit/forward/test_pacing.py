"""How long a batch lingers, by what waits in the buffer."""

from __future__ import annotations

import pytest

from eventrouter.forward.pacing import LINGER_SECONDS, linger_seconds


def test_nothing_is_held_back_while_nothing_waits() -> None:
    assert linger_seconds(0) == 0.1


@pytest.mark.parametrize(("waiting", "seconds"), LINGER_SECONDS)
def test_a_step_holds_from_its_number_of_chunks_on(waiting: int, seconds: float) -> None:
    assert linger_seconds(waiting) == seconds
    assert linger_seconds(waiting + 1) == seconds


def test_more_waiting_chunks_never_mean_less_lingering() -> None:
    lingers = [linger_seconds(waiting) for waiting in range(0, 20_000, 50)]

    assert lingers == sorted(lingers)
