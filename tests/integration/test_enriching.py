"""Records with what the API server knows of their objects, or in time without it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eventrouter.enrich import allowance, enricher
from eventrouter.enrich.kinds import parse_kinds
from eventrouter.kube import metadata
from eventrouter.standins.apiserver.status import Refusal
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher
from tests.support.objectserver import ObjectServer
from tests.support.waiting import DEADLINE, eventually

Json = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
SETS = "/apis/apps/v1/namespaces/default/replicasets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LABELS = {"app": "api", "team": "blue", "pod-template-hash": "5f"}


@pytest.fixture
def server(cluster: Cluster) -> Iterator[ObjectServer]:
    with ObjectServer(cluster.store) as server:
        yield server


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record goes without what was asked for because a busy machine stood still."""
    monkeypatch.setattr(allowance, "PATIENCE_SECONDS", DEADLINE)


@pytest.fixture
def watcher(
    patient: None, server: ObjectServer, receiver: Receiver, tmp_path: Path
) -> Iterator[Watcher]:
    with enriching(server, receiver, tmp_path) as watcher:
        server.wait_for_watches(1)
        yield watcher


def enriching(server: ObjectServer, receiver: Receiver, tmp_path: Path, **settings: Any) -> Watcher:
    defaults: Json = {
        "enrich": parse_kinds("Pod,ReplicaSet,Deployment,Node"),
        "enrich_labels": ("app",),
        "enrich_annotations": ("owner",),
    }
    return Watcher(server, receiver.url, tmp_path, **(defaults | settings))


def pod(ref: Json) -> Json:
    return {"kind": "Pod", "apiVersion": "v1", "namespace": "default", **ref}


def add_pod(server: ObjectServer, name: str = "api-5f-x") -> Json:
    """A Deployment's pod, with all that belongs to it."""
    deployment = {"kind": "Deployment", "apiVersion": "apps/v1"}
    deployment |= server.add(f"{DEPLOYMENTS}/api", labels={"app": "api"})
    replica_set = {"kind": "ReplicaSet", "apiVersion": "apps/v1"}
    replica_set |= server.add(f"{SETS}/api-5f", owner=deployment)
    annotations = {"owner": "blue@example.com", "other": "x"}
    return server.add(f"{PODS}/{name}", labels=LABELS, annotations=annotations, owner=replica_set)


def record(cluster: Cluster, receiver: Receiver, involved: Json, **fields: Any) -> Json:
    """The record of a new event about this object."""
    before = cluster.ids()
    cluster.create(involvedObject=involved, **fields)
    (new,) = cluster.ids() - before
    receiver.wait_for(lambda: new in receiver.records)
    return receiver.records[new]


def test_a_pods_record_has_its_labels_its_deployment_and_its_node(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    shown = record(cluster, receiver, pod(add_pod(server)))

    assert shown["object"] == {
        "labels": {"app": "api"},
        "annotations": {"owner": "blue@example.com"},
        "owner": {"kind": "Deployment", "name": "api", "uid": "uid-of-api"},
        "node": "worker-1",
    }
    assert watcher.numbers()("enrich_records", result="found") == 1
    assert watcher.numbers()("enrich_lookups", result="ok") == 3


def test_an_object_is_asked_for_once(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    involved = pod(add_pod(server))
    for _ in range(3):
        assert "labels" in record(cluster, receiver, involved)["object"]
    record(cluster, receiver, pod(server.add(f"{PODS}/none")))
    record(cluster, receiver, pod(server.add(f"{PODS}/none")))

    assert len(server.asked) == len(set(server.asked)) == 4


def test_a_pod_that_was_replaced_under_its_name_gives_no_labels(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    """As in beats#43436: the labels were those of the new pod."""
    new = pod(add_pod(server))
    old = new | {"uid": "uid-of-the-old-one"}

    assert record(cluster, receiver, old)["object"] == {"node": "worker-1"}
    assert record(cluster, receiver, new)["object"]["labels"] == {"app": "api"}
    assert watcher.numbers()("enrich_records", result="replaced") == 1
    assert server.asked.count(f"{PODS}/api-5f-x") == 1


def test_an_object_that_is_gone_before_it_is_looked_up_is_counted(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    shown = record(cluster, receiver, pod({"name": "gone", "uid": "uid-gone"}))

    assert shown["object"] == {"node": "worker-1"}
    assert watcher.numbers()("enrich_records", result="gone") == 1


def test_an_object_of_another_kind_is_left_alone(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    service = {"kind": "Service", "name": "api", "uid": "u", "namespace": "default"}

    assert "object" not in record(cluster, receiver, service)
    assert not server.asked


def test_a_missing_right_is_asked_for_once_and_told(
    cluster: Cluster,
    server: ObjectServer,
    receiver: Receiver,
    watcher: Watcher,
    caplog: pytest.LogCaptureFixture,
) -> None:
    involved = pod(add_pod(server))
    server.refusals["replicasets"] = Refusal(403, 'cannot get resource "replicasets"')
    shown = record(cluster, receiver, involved)
    others = [pod(server.add(f"{PODS}/p{number}", owner=None)) for number in range(3)]
    for other in others:
        record(cluster, receiver, other)

    assert shown["object"]["labels"] == {"app": "api"}
    assert shown["object"]["owner"]["kind"] == "ReplicaSet"
    assert server.asked.count(f"{SETS}/api-5f") == 1
    assert [line for line in caplog.messages if "ReplicaSet" in line and "403" in line]


def test_a_kind_without_a_right_is_counted_and_not_asked_for_again(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    server.refusals["pods"] = Refusal(403, 'cannot get resource "pods"')
    for number in range(5):
        record(cluster, receiver, pod({"name": f"p{number}", "uid": f"u{number}"}))

    assert watcher.numbers()("enrich_records", result="forbidden") == 5
    assert len(server.asked) == 1


def test_a_resource_that_is_not_there_is_no_object_that_is_gone(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    server.refusals["pods"] = Refusal.not_found()
    for number in range(3):
        record(cluster, receiver, pod({"name": f"p{number}", "uid": f"u{number}"}))

    assert watcher.numbers()("enrich_records", result="unknown_kind") == 3
    assert len(server.asked) == 1


def test_records_go_out_while_the_api_server_is_slow_and_later_states_have_it(
    cluster: Cluster,
    server: ObjectServer,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "_SECONDS", DEADLINE)
    involved = pod(add_pod(server))
    with enriching(server, receiver, tmp_path) as watcher:
        server.wait_for_watches(1)
        server.is_open.clear()
        early = [record(cluster, receiver, involved) for _ in range(3)]
        server.is_open.set()
        eventually(lambda: watcher.numbers()("enrich_lookups", result="ok") == 3)
        late = record(cluster, receiver, involved)
        assert watcher.numbers()("enrich_records", result="late") == 3

    assert [shown["object"] for shown in early] == [{"node": "worker-1"}] * 3
    assert late["object"]["owner"]["name"] == "api"


def test_a_server_that_says_429_is_left_alone_for_as_long_as_it_says(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    involved = pod(add_pod(server))
    server.refusals["pods"] = Refusal(429, "too many", headers={"Retry-After": "2"})
    record(cluster, receiver, involved)
    server.refusals.clear()

    eventually(lambda: "labels" in record(cluster, receiver, involved)["object"])
    refused, answered = (request for request in server.requests if "/pods/" in request.path)
    assert answered.time - refused.time >= 2
    assert watcher.numbers()("enrich_lookups", result="throttled") == 1
    assert watcher.numbers()("enrich_records", result="throttled") >= 1
    assert watcher.numbers()("enrich_records", result="failed") == 0


def test_an_api_server_that_fails_is_not_asked_for_each_record(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, watcher: Watcher
) -> None:
    server.refusals["pods"] = Refusal(500, "etcd is away")
    for number in range(10):
        record(cluster, receiver, pod({"name": f"p{number}", "uid": f"u{number}"}))

    assert watcher.numbers()("enrich_records", result="failed") == 10
    asked = [request.time for request in server.requests if "/pods/" in request.path]
    shortest = [0.4 * 2**number for number in range(len(asked) - 1)]
    pauses = [after - before for before, after in pairwise(asked)]
    assert all(pause >= least for pause, least in zip(pauses, shortest, strict=True))
    assert 1 <= len(asked) < 10


def test_a_burst_is_not_held_up_and_asks_within_the_limit(
    cluster: Cluster, server: ObjectServer, tmp_path: Path
) -> None:
    """Two events about each of a thousand pods that nobody knows: to wait for their look-ups would
    take a minute and a half.
    """
    arrived: list[float] = []
    with (
        Receiver(on_entry=lambda *_: arrived.append(time.monotonic())) as receiver,
        enriching(server, receiver, tmp_path, enrich_rate=10) as watcher,
    ):
        server.wait_for_watches(1)
        began = time.monotonic()
        for number in range(1000):
            involved = pod(server.add(f"{PODS}/p{number}", labels=LABELS))
            for _ in range(2):
                cluster.create(involvedObject=involved)
        receiver.wait_for_records(2000)
        took = time.monotonic() - began
        numbers = watcher.numbers()

    assert arrived[0] - began < 10
    assert len(server.asked) <= 40 + 10 * took + 1
    assert server.most_at_once <= enricher.WORKERS
    assert numbers("enrich_records", result="throttled") > 1000
    results = ("throttled", "found", "late")
    assert sum(numbers("enrich_records", result=result) for result in results) == 2000


def test_a_full_cache_stays_within_its_bytes(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, tmp_path: Path
) -> None:
    with enriching(server, receiver, tmp_path, enrich_cache=64 * 1024, enrich_rate=1000) as watcher:
        server.wait_for_watches(1)
        for number in range(500):
            labels = {"app": f"{number:060}"}
            cluster.create(involvedObject=pod(server.add(f"{PODS}/p{number}", labels=labels)))
        receiver.wait_for_records(500)
        assert 0 < watcher.numbers()("enrich_cache_bytes") <= 64 * 1024


def test_the_states_that_a_restart_lists_are_not_looked_up(
    cluster: Cluster, server: ObjectServer, receiver: Receiver, tmp_path: Path
) -> None:
    """They went out before: the list is for the old states only."""
    for number in range(100):
        cluster.create(involvedObject=pod(server.add(f"{PODS}/p{number}")))
    with enriching(server, receiver, tmp_path):
        receiver.wait_for_records(100)
    asked = len(server.asked)
    with enriching(server, receiver, tmp_path):
        server.wait_for_watches(1)
        cluster.create()
        receiver.wait_for_records(101)

    assert len(server.asked) == asked


def test_the_id_is_the_same_whatever_was_found(
    patient: None, cluster: Cluster, server: ObjectServer, receiver: Receiver, tmp_path: Path
) -> None:
    cluster.create(involvedObject=pod(add_pod(server)))
    (state,) = cluster.ids()
    for run in (1, 2):
        folder = tmp_path / f"{run}"
        folder.mkdir()
        with enriching(server, receiver, folder):
            receiver.wait_for(partial(_has, receiver, run))
        server.objects.clear()

    assert receiver.ids == [state, state]
    first, second = (frame.entries[0][1]["object"] for frame in receiver.frames if frame.entries)
    assert (first["labels"], second) == ({"app": "api"}, {"node": "worker-1"})


def _has(receiver: Receiver, records: int) -> bool:
    return len(receiver.ids) >= records


def test_nothing_of_it_is_imported_unless_asked_for() -> None:
    code = """
import sys, eventrouter.cli, eventrouter.app
names = [name for name in sys.modules if "enrich" in name or name.endswith(
    (".extras", ".occurrences", ".metadata")) and name.startswith("eventrouter")]
sys.exit(str(names) if names else 0)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
