"""How long a batch lingers, by what waits in the buffer."""

from __future__ import annotations

import pytest

from eventrouter.forward.pacing import LINGER_SECONDS, is_collecting, linger_seconds


def test_nothing_is_held_back_while_nothing_waits() -> None:
    assert linger_seconds(0) == 0.0
    assert not is_collecting(0)


def test_batches_are_collected_from_the_first_longer_linger_on() -> None:
    first, _ = LINGER_SECONDS[1]

    assert not is_collecting(first - 1)
    assert is_collecting(first)


@pytest.mark.parametrize(("waiting", "seconds"), LINGER_SECONDS)
def test_a_step_holds_from_its_number_of_chunks_on(waiting: int, seconds: float) -> None:
    assert linger_seconds(waiting) == seconds
    assert linger_seconds(waiting + 1) == seconds


def test_more_waiting_chunks_never_mean_less_lingering() -> None:
    lingers = [linger_seconds(waiting) for waiting in range(0, 20_000, 50)]

    assert lingers == sorted(lingers)
