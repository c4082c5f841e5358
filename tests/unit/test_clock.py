"""Waits between tries, and the machine's clock."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.clock import Alarm, Backoff, Clock, Stop, SystemClock
from tests.support.clock import middle
from tests.support.waiting import eventually


def test_waits_double_up_to_the_cap_and_stay_there() -> None:
    backoff = Backoff(first=1.0, cap=10.0, uniform=middle)

    assert [backoff.next() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_after_a_reset_the_waits_are_short_again() -> None:
    backoff = Backoff(first=1.0, cap=10.0, uniform=middle)
    for _ in range(5):
        backoff.next()

    backoff.reset()

    assert [backoff.next(), backoff.next()] == [1.0, 2.0]


@given(st.floats(0.01, 5), st.floats(5, 100), st.integers(0, 40))
def test_no_wait_is_more_than_half_off_its_measure(first: float, cap: float, tries: int) -> None:
    backoff = Backoff(first=first, cap=cap)
    for _ in range(tries):
        backoff.next()

    measure = min(first * 2**tries, cap)

    assert measure * 0.499 <= backoff.next() <= measure * 1.501


def test_many_that_fail_together_do_not_come_back_together() -> None:
    waits = {Backoff().next() for _ in range(100)}

    assert len(waits) > 90
    assert max(waits) / min(waits) > 1.5


def test_by_default_the_waits_are_those_of_client_go() -> None:
    """0.8 s, doubling, 30 s: what API servers are used to."""
    backoff = Backoff(uniform=middle)

    assert backoff.next() == pytest.approx(0.8)
    assert backoff.next() == pytest.approx(1.6)
    assert max(backoff.next() for _ in range(20)) == 30.0


def test_the_system_clock_is_the_machines() -> None:
    clock: Clock = SystemClock()

    assert time.time() <= clock.time() <= time.time()
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()


def test_a_threading_event_is_a_stop() -> None:
    event = threading.Event()
    stop: Stop = event
    assert not stop.is_set()
    assert not stop.wait(0)

    event.set()

    assert stop.is_set()
    assert stop.wait(0)


def test_an_alarm_is_a_stop_that_can_be_woken() -> None:
    alarm = Alarm()
    alarm.wake()
    assert not alarm.wait(60)  # nobody waited, so the next one to wait was woken
    assert not alarm.wait(0)

    alarm.set()

    assert alarm.is_set()
    assert alarm.wait(60)
    assert alarm.wait(60)


def test_a_thread_that_waits_for_an_alarm_is_woken_and_stopped_at_once() -> None:
    alarm = Alarm()
    ended: list[bool] = []

    def wait_twice() -> None:
        ended.append(alarm.wait(60))
        ended.append(alarm.wait(60))

    thread = threading.Thread(target=wait_twice)
    thread.start()
    alarm.wake()
    eventually(lambda: ended == [False], what="the end of the first wait")
    alarm.set()
    thread.join(10)

    assert ended == [False, True]
