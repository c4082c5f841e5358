"""Where a start goes on when the settings are others than those of the last run."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventrouter import pipeline
from eventrouter.checkpoint import keeper
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher, received_once_or_more
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(pipeline, "DRAIN_SECONDS", 2.0)


def _ids(cluster: Cluster, *namespaces: str, after: int = 0) -> set[str]:
    return {
        state.id
        for state in cluster.states
        if state.event["metadata"]["namespace"] in namespaces and state.revision > after
    }


def _follow(
    server: ApiServer, receiver: Receiver, tmp_path: Path, ids: set[str], *namespaces: str
) -> None:
    """A run that follows these namespaces, or all, until these ids have come and are delivered."""
    with Watcher(server, receiver.url, tmp_path, namespaces=namespaces) as watcher:
        received_once_or_more(receiver, ids)
        eventually(
            lambda: (
                watcher.checkpoint["delivered"].keys() == set(namespaces or [""])
                or watcher.checkpoint["delivered"].keys() > set(namespaces)
            )
        )


def test_another_selector_skips_no_state_of_the_time_between(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """The API server still holds what came after the last run: each state, not the last alone."""
    name = cluster.create()
    _follow(server, receiver, tmp_path, cluster.ids())
    cluster.update(name)
    cluster.update(name)

    with Watcher(server, receiver.url, tmp_path, field_selector="type=Normal"):
        received_once_or_more(receiver, cluster.ids())


def test_a_namespace_that_was_not_followed_before_comes_with_what_the_api_server_still_holds(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    cluster.create(namespace="red")
    name = cluster.create(namespace="blue")
    _follow(server, receiver, tmp_path, _ids(cluster, "red"), "red")
    cluster.update(name, namespace="blue")
    cluster.update(name, namespace="blue")

    _follow(server, receiver, tmp_path, cluster.ids(), "red", "blue")


def test_a_namespace_goes_on_where_the_whole_cluster_was(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Nothing skipped, and nothing that the cluster's position covers sent again."""
    name = cluster.create(namespace="red")
    cluster.create(namespace="blue")
    before = cluster.revision
    _follow(server, receiver, tmp_path, cluster.ids())
    cluster.update(name, namespace="red")
    cluster.update(name, namespace="red")
    cluster.create(namespace="blue")

    _follow(server, receiver, tmp_path, _ids(cluster, "red"), "red")

    expected = cluster.ids() - _ids(cluster, "blue", after=before)
    assert sorted(receiver.ids) == sorted(expected)


def test_the_whole_cluster_does_not_go_on_where_one_namespace_was(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """The others were never followed, so their states up to there have never been sent."""
    name = cluster.create(namespace="blue")
    cluster.update(name, namespace="blue")
    cluster.update(name, namespace="blue")
    cluster.create(namespace="red")
    _follow(server, receiver, tmp_path, _ids(cluster, "red"), "red")
    cluster.update(name, namespace="blue")

    _follow(server, receiver, tmp_path, cluster.ids())
