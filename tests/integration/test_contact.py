"""When the API server last answered as it should: what an alert on a lost right or link needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eventrouter.capture import following, watches
from eventrouter.clock import Backoff
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher, received_once_or_more
from tests.support.waiting import eventually

OF_EVENTS = "eventrouter_events_contact_timestamp_seconds"
OF_ALL = "eventrouter_api_contact_timestamp_seconds"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "Backoff", lambda **_: Backoff(first=0.02, cap=0.02))


def _deny(*verbs: str) -> Callable[[ApiServer], None]:
    def deny(server: ApiServer) -> None:
        server.denied = set(verbs)

    return deny


def _refuse_all_tokens(server: ApiServer) -> None:
    server.tokens = set()


def _answer(status: int) -> Callable[[ApiServer], None]:
    return lambda server: server.faults.answer(status, times=10_000)


def _end_at_once(server: ApiServer) -> None:
    server.faults.expire_watches("empty", times=10_000)


def _stands_still(watcher: Watcher, gauge: str, *, errors: int = 8) -> bool:
    """Whether the gauge stays where it is while so many more requests fail."""

    def failed() -> int:
        return watcher.numbers()("errors", stage="receiving")

    seen = failed()
    eventually(lambda: failed() >= seen + 3)  # whatever went well before the fault is past
    before, seen = watcher.numbers().total(gauge), failed()
    eventually(lambda: failed() >= seen + errors)
    return watcher.numbers().total(gauge) == before


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_deny("list", "watch"), id="403"),
        pytest.param(_refuse_all_tokens, id="401"),
        pytest.param(_answer(429), id="429"),
        pytest.param(_answer(500), id="500"),
    ],
)
def test_a_refusal_is_no_contact(
    fault: Callable[[ApiServer], None],
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    """The API server answers, and yet no event comes: neither metric may look well."""
    cluster.create()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        fault(server)
        server.faults.close_watches()

        assert _stands_still(watcher, OF_EVENTS)
        assert _stands_still(watcher, OF_ALL)
        assert watcher.numbers().total(OF_EVENTS) > 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_deny("watch"), id="no right to watch"),
        pytest.param(_end_at_once, id="watches end at once"),
    ],
)
def test_other_answers_do_not_hide_that_no_watch_of_events_works(
    fault: Callable[[ApiServer], None],
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The probes are answered, as the Lease would be, and each namespace's events have their own
    metric."""
    monkeypatch.setattr(watches, "TOO_SHORT_SECONDS", 60.0)
    cluster.create()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        fault(server)
        server.faults.close_watches()

        assert _stands_still(watcher, OF_EVENTS)
        assert not _stands_still(watcher, OF_ALL)
        assert watcher.numbers().total(OF_EVENTS) > 0


def test_contact_is_back_with_the_right_and_each_namespace_has_its_own(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    with Watcher(server, receiver.url, tmp_path, namespaces=("one", "two")) as watcher:
        server.wait_for_watches(2)
        server.denied = {"list", "watch"}
        server.faults.close_watches()
        assert _stands_still(watcher, OF_EVENTS)
        lost = {name: watcher.numbers().total(OF_EVENTS, namespace=name) for name in ("one", "two")}
        server.denied = set()
        server.wait_for_watches(2)
        cluster.create(namespace="one")
        received_once_or_more(receiver, cluster.ids())

        for name, before in lost.items():
            assert watcher.numbers().total(OF_EVENTS, namespace=name) > before > 0


def test_a_watcher_that_no_longer_follows_shows_no_contact_that_could_grow_old(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """One that lost its Lease stands by in the same process: its silence is no trouble."""
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        assert watcher.numbers().total(OF_EVENTS) > 0

        watcher.app._abandon()

        eventually(lambda: OF_EVENTS + "{" not in watcher.get("/metrics")[1])
