"""What the ends of watches say: about the server, and about the position that they began at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from eventrouter.capture.retry import Retry
from eventrouter.capture.vitals import Vitals
from eventrouter.capture.watches import GIVE_UP_SECONDS, GOOD_WHILE_SECONDS, Watches
from eventrouter.clock import Backoff
from eventrouter.errors import ApiError, ResourceExpired
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock, FakeStop, middle

REFUSED = ApiError("no right", reason="forbidden", status=403)
CUT = ApiError("cut", reason="unreachable")
EXPIRED = ResourceExpired("too old")
FAILED = ApiError("the watch ended with 500", reason="watch_error", status=500)


class FakeServer:
    """Opens watches without a line. `at_open` and `at_end` are raised then; `seconds` pass."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.at_open: ApiError | None = None
        self.at_end: ApiError | None = None
        self.seconds = 0.0
        self.asked: list[tuple[str, str, int]] = []

    @contextmanager
    def __call__(
        self, namespace: str, *, resource_version: str, timeout_seconds: int
    ) -> Iterator[Iterator[list[bytes]]]:
        self.asked.append((namespace, resource_version, timeout_seconds))
        if self.at_open:
            raise self.at_open
        yield self._lines()

    def _lines(self) -> Iterator[list[bytes]]:
        yield []
        self._clock.advance(self.seconds)
        if self.at_end:
            raise self.at_end


@pytest.fixture
def server(clock: FakeClock) -> FakeServer:
    return FakeServer(clock)


@pytest.fixture
def link(clock: FakeClock) -> Pulse:
    return Pulse(clock)


@pytest.fixture
def watches(
    server: FakeServer, link: Pulse, clock: FakeClock, stop: FakeStop, metrics: Metrics
) -> Watches:
    return Watches(
        namespace="shop",
        open_watch=server,
        retry=Retry(namespace="shop", backoff=Backoff(uniform=middle), stop=stop, metrics=metrics),
        vitals=Vitals(
            namespace="shop", thread=Pulse(clock), link=link, metrics=metrics, clock=clock
        ),
        metrics=metrics,
        clock=clock,
        uniform=middle,
    )


def follow(watches: Watches, *, brings: bool = False) -> ApiError | None:
    """One watch to its end; what it ended with."""
    try:
        with watches.open("40", seconds=90) as stream:
            for _ in stream:
                if brings:
                    watches.progressed()
    except ApiError as error:
        return error
    return None


def test_a_watch_asks_for_its_own_end(watches: Watches, server: FakeServer) -> None:
    server.seconds = 90
    follow(watches)

    assert server.asked == [("shop", "40", 90)]


def test_a_watch_that_ends_at_its_time_is_closed(
    watches: Watches, server: FakeServer, metrics: Metrics
) -> None:
    server.seconds = 90

    assert follow(watches) is None
    assert metrics.watches.labels("closed")._value.get() == 1


def test_a_watch_that_ends_at_once_without_anything_is_an_error(watches: Watches) -> None:
    error = follow(watches)

    assert error is not None
    assert error.reason == "empty_watch"


def test_a_watch_that_brought_something_may_end_soon(watches: Watches) -> None:
    assert follow(watches, brings=True) is None


@pytest.mark.parametrize("end", [None, EXPIRED, FAILED], ids=["empty", "410", "500"])
def test_a_position_is_hopeless_after_minutes_of_watches_that_end_at_once(
    end: ApiError | None, watches: Watches, server: FakeServer, clock: FakeClock
) -> None:
    server.at_end = end
    for _ in range(10):
        follow(watches)
        assert not watches.are_hopeless
        clock.advance(GIVE_UP_SECONDS / 10)
    follow(watches)

    assert watches.are_hopeless

    watches.begin_anew()
    assert not watches.are_hopeless


def test_a_position_that_no_watch_is_opened_from_is_hopeless_too(
    watches: Watches, server: FakeServer, clock: FakeClock
) -> None:
    """The 410 may come as the answer's status as well."""
    server.at_open = EXPIRED
    for _ in range(11):
        follow(watches)
        clock.advance(GIVE_UP_SECONDS / 10)

    assert watches.are_hopeless


def test_an_outage_of_minutes_beside_watches_that_end_at_once_does_not_speak_against_the_position(
    watches: Watches, clock: FakeClock
) -> None:
    """A watch may end so because the API server is about to go, and another as it comes back."""
    for _ in range(2):
        follow(watches)
        clock.advance(2 * GIVE_UP_SECONDS)
        assert not watches.are_hopeless


@pytest.mark.parametrize("at_open", [True, False])
@pytest.mark.parametrize("error", [REFUSED, CUT], ids=["refused", "cut"])
def test_refusals_and_cut_links_do_not_speak_against_the_position(
    error: ApiError, at_open: bool, watches: Watches, server: FakeServer, clock: FakeClock
) -> None:
    server.at_open, server.at_end = (error, None) if at_open else (None, error)
    for _ in range(10):
        assert follow(watches) is error
        clock.advance(GIVE_UP_SECONDS)

    assert not watches.are_hopeless


@pytest.mark.parametrize(("seconds", "brings"), [(5, False), (0, True)], ids=["quiet", "short"])
def test_one_watch_that_works_clears_the_position(
    seconds: float, brings: bool, watches: Watches, server: FakeServer, clock: FakeClock
) -> None:
    follow(watches)
    server.seconds = seconds
    follow(watches, brings=brings)
    server.seconds = 0
    clock.advance(GIVE_UP_SECONDS)
    follow(watches)

    assert not watches.are_hopeless


def test_a_watch_that_begins_is_a_contact_but_not_the_fourth_of_some_that_end_at_once(
    watches: Watches, server: FakeServer, link: Pulse, clock: FakeClock
) -> None:
    """After an outage the link counts as up with the first watch. One that says nothing, again and
    again, is none."""
    for _ in range(3):
        clock.advance(30)
        follow(watches)
        assert link.age() == 0
    clock.advance(30)
    follow(watches)
    assert link.age() == 30

    server.seconds = 90
    follow(watches)
    assert link.age() == 0


def test_a_refused_watch_is_no_contact(watches: Watches, server: FakeServer, link: Pulse) -> None:
    server.at_open = REFUSED
    follow(watches)

    assert link.age() is None


@pytest.mark.parametrize(
    ("seconds", "brings", "wait"),
    [
        pytest.param(0, False, 1.6, id="at once"),
        pytest.param(GOOD_WHILE_SECONDS, False, 0.8, id="a good while"),
        pytest.param(0, True, 0.8, id="brought something"),
    ],
)
def test_only_a_watch_that_went_well_makes_the_next_wait_short(
    seconds: float,
    brings: bool,
    wait: float,
    watches: Watches,
    server: FakeServer,
    stop: FakeStop,
) -> None:
    watches._retry.wait_after(CUT)
    server.seconds = seconds
    follow(watches, brings=brings)

    watches._retry.wait_after(CUT)

    assert stop.waits == [0.8, wait]
