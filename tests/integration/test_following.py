"""The reflector on a good day: lists, watches, and what it makes of their lines."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest

from eventrouter.capture import outlet, watches
from eventrouter.forward.queue import Queue
from eventrouter.standins.apiserver.server import ApiServer
from tests.integration.cluster import Cluster, check, traffic
from tests.integration.follower import Follower
from tests.support.waiting import eventually


def _watched_from(server: ApiServer) -> int:
    request = server.wait_for_requests(1, type="watch")[0]
    return int(request.query["resourceVersion"])


def test_a_first_list_by_pages_and_its_watch_leave_no_gap(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """What is written while the pages are read arrives as well, and nothing arrives twice."""
    cluster.fill(2500)
    with Follower(server, kubeconfig) as follower:
        with traffic(cluster, seed=1, rate=1000):
            follower.wait_for(lambda: len(follower.records) > 2700)
        start = _watched_from(server)
        listed = cluster.shown(start)
        expected = listed | cluster.ids(after=start)
        follower.wait_for_ids(expected)

    pages = [request for request in server.requests if request.type == "list"]
    limits = [25, 50, 100, 200, *[250] * math.ceil((len(listed) - 375) / 250)]
    assert [int(page.query["limit"]) for page in pages] == limits
    assert sorted(follower.ids) == sorted(expected)
    check(follower.records, cluster, listed=listed)


def test_an_empty_cluster_is_watched_from_its_list(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """No event at the start is no reason to miss the first one."""
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.create()
        follower.wait_for_ids(cluster.ids())

    check(follower.records, cluster)


def test_a_list_moves_the_position_only_after_its_last_item(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Its items come by name, not by age: half a list is no place to go on from."""
    cluster.fill(600)
    server.faults.answer(500, to="watch", times=1)
    with Follower(server, kubeconfig) as follower:
        follower.wait_for_position(cluster.revision)

        assert len(follower.records) == 600
        assert follower.all_positions == [str(cluster.revision)]


def test_every_state_goes_to_the_tag_of_its_type(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Normal and Warning are what Kubernetes has; anything else is neither."""
    cluster.create(name="a", type="Normal")
    cluster.create(name="b", type="Warning")
    cluster.create(name="c", type="Odd")
    cluster.create(name="d", type="")
    with Follower(server, kubeconfig) as follower:
        follower.wait_for_ids(cluster.ids())

    kinds = {
        record["event"]["metadata"]["name"]: kind
        for record, kind in zip(follower.records, follower.kinds, strict=True)
    }
    assert kinds == {"a": "normal", "b": "warning", "c": "other", "d": "other"}


def test_a_deletion_moves_the_position_and_is_not_shipped(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """An hour later every event is deleted; that is no news of it."""
    cluster.create(name="gone")
    cluster.create(name="kept")
    before = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        follower.wait_for_ids(before)
        server.wait_for_watches(1)
        cluster.delete("gone")
        follower.wait_for_position(cluster.revision)
        cluster.update("kept")
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=before)


def test_a_bookmark_moves_the_position(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Where the API server sends bookmarks the next watch begins at the last one."""
    cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.store.skip(500)
        server.faults.inject_bookmark(cluster.revision)
        follower.wait_for_position(cluster.revision)
        server.faults.close_watches()
        watches = server.wait_for_requests(2, type="watch")

        assert watches[1].query["resourceVersion"] == str(cluster.revision)
        assert len(follower.records) == 1


def test_a_resume_ships_only_what_is_new_with_its_old_state(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """After a start at a position the old states are those at that position."""
    names = cluster.fill(300)
    position = cluster.revision
    for name in names[::7]:
        cluster.update(name)
    with Follower(server, kubeconfig, resume_at=str(position)) as follower:
        follower.wait_for_ids(cluster.ids(after=position))
        cluster.update(names[1])
        follower.wait_for_ids(cluster.ids(after=position))

    assert sorted(follower.ids) == sorted(cluster.ids(after=position))
    check(follower.records, cluster)
    assert all(record["old_event"] for record in follower.records)
    probe, *pages, watch = server.requests
    assert probe.type == "probe"
    assert [page.query.get("resourceVersion") for page in pages] == [str(position), *[None] * 3]
    assert watch.query["resourceVersion"] == str(position)


def test_a_resume_without_old_states_asks_for_no_list(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """With --old-event-cache 0 a start costs a probe and a watch."""
    name = cluster.create()
    position = cluster.revision
    with Follower(server, kubeconfig, resume_at=str(position), cache_bytes=0) as follower:
        cluster.update(name)
        follower.wait_for_ids(cluster.ids(after=position))

    assert "old_event" not in follower.records[0]
    assert [request.type for request in server.requests] == ["probe", "watch"]


def test_a_watch_that_ends_in_the_orderly_way_is_resumed_without_a_list(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The every-day case: nothing again, nothing missing, old states still known."""
    name = cluster.create()
    listed = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        for number in range(1, 4):
            server.wait_for_requests(number, type="watch")
            server.wait_for_watches(1)
            cluster.update(name)
            follower.wait_for_ids(cluster.ids())
            server.faults.close_watches()
        server.wait_for_requests(4, type="watch")

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=listed)
    assert sum(request.type == "list" for request in server.requests) == 1


def test_the_field_selector_goes_to_the_api_server_but_not_with_a_probe(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The API server selects; a probe asks about its history and nothing else."""
    cluster.create(name="a", type="Normal")
    cluster.create(name="b", type="Warning")
    with Follower(server, kubeconfig, field_selector="type=Warning") as follower:
        server.wait_for_watches(1)
        cluster.update("a")
        cluster.update("b")
        server.faults.close_watches()
        server.wait_for_requests(2, type="watch")
        cluster.update("b")
        follower.wait_for(lambda: len(follower.records) == 3)

    assert {record["event"]["metadata"]["name"] for record in follower.records} == {"b"}
    for request in server.requests:
        expected = None if request.type == "probe" else "type=Warning"
        assert request.query.get("fieldSelector") == expected


def test_a_follower_of_one_namespace_asks_for_that_namespace_only(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Its rights may end there: no request goes to the whole cluster."""
    cluster.create(namespace="ours", name="a")
    cluster.create(namespace="theirs", name="b")
    with Follower(server, kubeconfig, namespace="ours") as follower:
        server.wait_for_watches(1)
        cluster.update("b", namespace="theirs")
        cluster.update("a", namespace="ours")
        follower.wait_for(lambda: len(follower.records) == 2)
        server.faults.close_watches()
        server.wait_for_requests(2, type="watch")

    assert {record["event"]["metadata"]["name"] for record in follower.records} == {"a"}
    assert {request.path for request in server.requests} == {"/api/v1/namespaces/ours/events"}


def test_the_watch_is_closed_while_the_queue_stays_full_and_resumed_afterwards(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server need not buffer for us, the queue keeps its bounds, and nothing is lost."""
    monkeypatch.setattr(outlet, "ROOM_SECONDS", 0.3)
    monkeypatch.setattr(watches, "TOO_SHORT_SECONDS", 0.01)
    queue = Queue(max_records=200, max_bytes=10**6, linger_seconds=lambda: 0.0)
    with Follower(server, kubeconfig, queue=queue) as follower:
        server.wait_for_watches(1)
        follower.hold()
        # An empty queue would take what arrives together, however much it is.
        names = cluster.fill(10)
        follower.wait_for(lambda: queue.records)
        names += [name for _ in range(60) for name in cluster.fill(10)]
        server.wait_for_watches(0)
        assert queue.records <= 200
        for name in names[::3]:
            cluster.update(name)
        follower.release()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster)
    assert follower.count("watch", result="queue_full") >= 1


def test_old_states_are_exactly_the_previous_ones_whatever_happens_in_between(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reconnects, cut lines, a full queue and a restart at the checkpoint all under traffic."""
    monkeypatch.setattr(outlet, "ROOM_SECONDS", 0.1)
    monkeypatch.setattr(watches, "TOO_SHORT_SECONDS", 0.01)
    cluster.fill(20)
    listed = cluster.shown()
    position: str | None = None
    records = []
    with traffic(cluster, seed=2):
        for round_ in range(3):
            queue = Queue(max_records=40, linger_seconds=lambda: 0.0)
            with Follower(server, kubeconfig, resume_at=position, queue=queue) as follower:
                for number in range(4):
                    server.wait_for_watches(1)
                    follower.wait_for_more(10)
                    if number == 0:
                        server.faults.close_watches()
                    elif number == 1:
                        server.faults.cut_watches(after_bytes=777 * (round_ + 1))
                    elif number == 2:
                        follower.hold()
                        eventually(partial(follower.count, "watch", result="queue_full"))
                        follower.release()
                if position is None:
                    listed = cluster.shown(_watched_from(server))
            position = follower.position
            records += follower.records
    with Follower(server, kubeconfig, resume_at=position) as follower:
        follower.wait_for_ids(cluster.ids(after=int(position or 0)))
    records += follower.records

    assert {record["id"] for record in records} == listed | cluster.ids(
        after=max(int(id_.rpartition("-")[2]) for id_ in listed)
    )
    check(records, cluster, listed=listed)
