"""Occurrences against a ledger: through repeats, relists, restarts and takeovers."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from eventrouter import pipeline
from eventrouter.app import App
from eventrouter.checkpoint import keeper
from eventrouter.config import Config, LeaseRef, Listen
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.bench.lease import LeaseServer
from tests.integration.cluster import Cluster
from tests.integration.numbers import Numbers
from tests.integration.watcher import Watcher, received_once_or_more
from tests.support.chunks import put_chunk
from tests.support.waiting import eventually

NAME = "kubernetes_events"


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(pipeline, "DRAIN_SECONDS", 2.0)
    monkeypatch.setattr(pipeline, "DELIVERY_SECONDS", 0.1)


@pytest.fixture
def buffer(tmp_path: Path) -> Path:
    """A Fluent Bit's storage.path."""
    path = tmp_path / "buffer"
    (path / "forward.0").mkdir(parents=True)
    return path


def _churn(cluster: Cluster, names: list[str], *, states: int, seed: int) -> int:
    """So many states of new and known events; how many occurrences they are."""
    chance = random.Random(seed)
    counts = dict.fromkeys(names, 1)
    occurrences = 0
    for _ in range(states):
        name = chance.choice(names) if names and chance.random() < 0.7 else None
        if name is None:
            name = cluster.create(reason=chance.choice(["Pulled", "Started", "Killing"]), count=1)
            names.append(name)
            counts[name] = occurred = 1
        else:
            last = int(cluster._last["default", name]["count"])
            occurred = chance.choice([0, 1, 1, 5])
            cluster.update(name, count=last + occurred, message=f"again {last}")
        occurrences += occurred
    return occurrences


def _counted(watcher: Watcher) -> int:
    watcher.numbers()  # each series is 0 when it is first shown
    return watcher.numbers()(NAME)


def test_5000_states_count_as_often_as_they_happened_through_a_restart_and_a_relist(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    names: list[str] = []
    expected = 0
    with Watcher(server, receiver.url, tmp_path, count_events=True) as watcher:
        server.wait_for_watches(1)
        for seed in range(5):
            expected += _churn(cluster, names, states=600, seed=seed)
            server.faults.cut_watches(after_bytes=seed * 100)
        received_once_or_more(receiver, cluster.ids())
        first = _counted(watcher)
        assert first == expected
        assert _counted(watcher) == first
        # A history that is compacted makes a list, which shows states that were counted before.
        server.faults.refuse()
        more = _churn(cluster, [], states=500, seed=7)
        cluster.store.compact()
        server.faults.listen()
        received_once_or_more(receiver, cluster.shown())
        eventually(lambda: watcher.numbers()("relist", reason="expired") == 1)
        eventually(lambda: watcher.numbers_at_rest()("queue_events") == 0)
        after_list = _counted(watcher)
    # Of new events the list shows the last state alone: each of them counts once, however often it
    # happened meanwhile.
    new = len(cluster.shown()) - len(names)
    assert after_list - first == new <= more

    with Watcher(server, receiver.url, tmp_path, count_events=True) as watcher:
        server.wait_for_watches(1)
        expected = _churn(cluster, names, states=1500, seed=9)
        received_once_or_more(receiver, cluster.ids(after=cluster.revision - 1500))
        assert _counted(watcher) == expected


def test_a_watcher_with_another_buffer_repeats_states_and_counts_none_of_them_again(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path, buffer: Path
) -> None:
    """As the other replica does when it takes over while the output is down."""
    cluster.fill(3)
    delivered = cluster.revision
    settings: dict[str, Any] = {"buffer_path": buffer, "count_events": True}
    with Watcher(server, receiver.url, tmp_path, **settings) as watcher:
        eventually(lambda: watcher.checkpoint["delivered"] == {"": str(delivered)})
        put_chunk(buffer / "forward.0" / "stuck.flb")
        names = cluster.fill(20)
        eventually(lambda: watcher.checkpoint["acked"] == {"": str(cluster.revision)})
        assert _counted(watcher) == 23
    before = len(receiver.ids)
    shutil.rmtree(buffer)
    (buffer / "forward.0").mkdir(parents=True)
    with Watcher(server, receiver.url, tmp_path, **settings) as watcher:
        cluster.update(names[0])
        eventually(lambda: len(receiver.ids) == before + 21)
        assert _counted(watcher) == 1


def test_two_replicas_count_each_occurrence_once_when_the_leader_hands_over(
    cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    """Each with a buffer of its own, so that the second repeats what the first's still holds."""
    names: list[str] = []
    with LeaseServer(cluster.store) as server:
        server.write_kubeconfig(tmp_path / "kubeconfig")
        first, second = (_replica(tmp_path, receiver, name) for name in ("first", "second"))
        first.start(on_failure=pytest.fail)
        server.wait_for_watches(1)
        second.start(on_failure=pytest.fail)
        expected = _churn(cluster, names, states=300, seed=1)
        received_once_or_more(receiver, cluster.ids())
        put_chunk(tmp_path / "first" / "forward.0" / "stuck.flb")
        expected += _churn(cluster, names, states=300, seed=2)
        received_once_or_more(receiver, cluster.ids())
        sent = len(receiver.ids)
        assert first.stop()
        server.wait_for_watches(1)
        expected += _churn(cluster, names, states=300, seed=3)
        received_once_or_more(receiver, cluster.ids())
        counted = [_total(replica) for replica in (first, second)]
        assert second.stop()

    assert len(receiver.ids) >= sent + 600, "the second has repeated what the buffer held"
    assert sum(counted) == expected
    assert all(counted)


def _replica(tmp_path: Path, receiver: Receiver, name: str) -> App:
    (tmp_path / name / "forward.0").mkdir(parents=True)
    return App(
        Config(
            kubeconfig=str(tmp_path / "kubeconfig"),
            forward=receiver.url,
            checkpoint=LeaseRef("logging", "eventrouter"),
            buffer_path=tmp_path / name,
            identity=name,
            listen=Listen("127.0.0.1", 0),
            count_events=True,
        )
    )


def _total(replica: App) -> int:
    list(replica.metrics.registry.collect())  # each series is 0 when it is first shown
    text = generate_latest(replica.metrics.registry).decode()
    return Numbers(text)(NAME)


def test_100_000_reasons_leave_metrics_bounded(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Some thousand here; the tally's own test has all."""
    for number in range(3000):
        cluster.create(reason=f"Reason{number}")
    with Watcher(
        server, receiver.url, tmp_path, count_events=True, count_events_series=100
    ) as watcher:
        received_once_or_more(receiver, cluster.ids())
        assert _counted(watcher) == 3000
        assert watcher.numbers()("kubernetes_events_series") <= 100
        assert len(watcher.get("/metrics")[1]) < 100_000


def test_nothing_of_it_is_imported_or_shown_unless_asked_for(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    with Watcher(server, receiver.url, tmp_path) as watcher:
        assert "kubernetes_events" not in watcher.get("/metrics")[1]
