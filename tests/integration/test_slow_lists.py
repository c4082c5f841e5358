"""Lists that take longer than the API server holds the revision that they began at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventrouter.capture import lister, reflector
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.server import ApiServer
from tests.integration.cluster import Cluster
from tests.integration.follower import Follower


def _is_next_page(request: Request) -> bool:
    return request.type == "list" and "continue" in request.query


@contextmanager
def _before_next_pages(
    server: ApiServer, action: Callable[[], object], *, times: int
) -> Iterator[None]:
    """Do this right before each of the next so many pages after the first one of a list."""
    strike = server.faults.strike
    left = [action] * times

    def strike_after(request: Request) -> None:
        if left and _is_next_page(request):
            left.pop()()
        strike(request)

    server.faults.strike = strike_after  # type: ignore[method-assign]
    yield
    server.faults.strike = strike  # type: ignore[method-assign]


class Traffic:
    """What happens between two pages: states at both ends of the list, then a compaction.

    With `lag` it compacts to where the last round but one ended, as kube-apiserver does: what it
    holds is older than one interval, and no older than two.
    """

    def __init__(self, cluster: Cluster, names: list[str], *, lag: bool = False) -> None:
        self._cluster = cluster
        self._names = names
        self._lag = lag
        self._ends = [0, 0]
        self.rounds = 0

    def __call__(self) -> None:
        self.rounds += 1
        cluster, names = self._cluster, self._names
        for name in (names[0], names[-1], names[1], names[self.rounds], names[-self.rounds]):
            cluster.update(name)
        cluster.create(name=f"a-{self.rounds}")  # on a page that has been
        cluster.create(name=f"z-{self.rounds}")  # on one that is to come
        cluster.update(names[0])
        self._ends.append(cluster.revision)
        cluster.store.compact(self._ends[-3] if self._lag else cluster.revision - 1)


def _check_states(follower: Follower, cluster: Cluster) -> None:
    """Each record is a state of the cluster, and no old state is another than the one before."""
    states = {state.id: state for state in cluster.states}
    for record in follower.records:
        state = states[record["id"]]
        assert record["event"] == state.event
        if "old_event" in record:
            assert record["verb"] == "UPDATED"
            assert record["old_event"] == state.old_event, record["id"]


@pytest.mark.parametrize("after_gap", [False, True], ids=["first list", "list after a gap"])
@pytest.mark.parametrize("compactions", [1, 3, 12])
def test_a_list_whose_revision_is_compacted_comes_to_its_end(
    after_gap: bool, compactions: int, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """It goes on at a newer revision. What the watch can't show any more is listed again, and only
    what is new in it is sent; nothing that still is there is lost."""
    names = cluster.fill(300)
    position = cluster.revision
    for name in names[100:200]:
        cluster.update(name)
    cluster.store.compact()
    expected = cluster.shown() & cluster.ids(after=position) if after_gap else cluster.shown()
    resume_at = str(position) if after_gap else None
    with (
        _before_next_pages(server, Traffic(cluster, names), times=compactions),
        Follower(server, kubeconfig, resume_at=resume_at) as follower,
    ):
        follower.wait_for(lambda: cluster.shown() & cluster.ids(after=position) <= {*follower.ids})
        follower.wait_for_position(cluster.revision)
        server.wait_for_watches(1)
        for name in names[::7]:
            cluster.update(name)
        follower.wait_for(lambda: cluster.shown() & cluster.ids(after=position) <= {*follower.ids})

    kept = {state.id.rpartition("-")[0] for state in cluster.states}
    assert {id_.rpartition("-")[0] for id_ in expected} <= kept
    _check_states(follower, cluster)
    # The pages of a list are five. None is asked for again but by a list for what is new.
    pages = [request for request in server.requests if request.type == "list"]
    assert len(pages) <= 6 * (2 + compactions)
    assert len(follower.records) < len({*follower.ids}) + 10 * (2 + compactions)


def test_a_list_that_always_outlives_its_revision_ends_in_a_watch(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow it is: short watches in between see to it that the long one can begin after it,
    and every state since the list began comes."""
    monkeypatch.setattr(reflector, "UPKEEP_SECONDS", 0.0)
    monkeypatch.setattr(reflector, "UPKEEP_WATCH_SECONDS", 1.0)
    monkeypatch.setattr(lister, "FIRST_PAGE_EVENTS", 250)
    names = cluster.fill(900)
    position = cluster.revision
    for name in names[100:200]:
        cluster.update(name)
    cluster.store.compact()
    oldest = cluster.revision
    with (
        _before_next_pages(server, Traffic(cluster, names, lag=True), times=1_000_000),
        Follower(server, kubeconfig, resume_at=str(position)) as follower,
    ):
        follower.wait_for_position(cluster.revision, timeout=30)
        server.wait_for_watches(1)
        follower.wait_for_ids(cluster.ids(after=oldest))

    expected = (cluster.shown(oldest) & cluster.ids(after=position)) | cluster.ids(after=oldest)
    assert expected <= {*follower.ids}
    _check_states(follower, cluster)
    assert follower.count("relist", reason="expired") == 1
    assert follower.count("list", result="expired") > 1
