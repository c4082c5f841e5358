"""The whole watcher between the two stand-ins: crashes, full queues, odd records."""

from __future__ import annotations

import random
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eventrouter import pipeline
from eventrouter.capture import outlet, watches
from eventrouter.checkpoint import keeper
from eventrouter.forward.queue import Queue
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.store import VERSION_MARK
from eventrouter.standins.receiver.frames import EventTime
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster, check, traffic
from tests.integration.process import Process
from tests.integration.watcher import Watcher, read_checkpoint, received_once_or_more
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(pipeline, "DRAIN_SECONDS", 3.0)
    monkeypatch.setattr(pipeline, "DELIVERY_SECONDS", 0.5)


def _acked(watcher: Watcher, namespace: str = "") -> int:
    return int(watcher.checkpoint["acked"].get(namespace, 0))


def test_every_state_arrives_once_and_the_numbers_add_up(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """From the API server to the sidecar's acknowledgement, on a good day."""
    cluster.fill(300)
    listed = cluster.shown()
    with Watcher(server, receiver.url, tmp_path, cluster_name="here") as watcher:
        server.wait_for_watches(1)
        with traffic(cluster, seed=3):
            receiver.wait_for_records(500)
        received_once_or_more(receiver, cluster.ids())
        numbers = watcher.numbers_at_rest()
        eventually(lambda: _acked(watcher) == cluster.revision)

    assert sorted(receiver.ids) == sorted(cluster.ids())
    check(receiver.records.values(), cluster, listed=listed)
    assert {record["cluster"] for record in receiver.records.values()} == {"here"}
    assert numbers.add_up()
    assert numbers("events_received") == numbers("events_acked") == len(cluster.ids())
    assert numbers("queue_events") == numbers("events_discarded") == 0


def test_kills_at_any_moment_lose_nothing_and_keep_the_ids(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """kill -9 under traffic, five times, each start from the checkpoint: no state is missing."""
    cluster.fill(300)
    listed = cluster.shown()
    server.write_kubeconfig(tmp_path / "kubeconfig")
    process = Process(
        tmp_path,
        *("--kubeconfig", str(tmp_path / "kubeconfig")),
        *("--forward", receiver.url),
        *("--checkpoint", f"file:{tmp_path}/checkpoint"),
        patches={"eventrouter.checkpoint.keeper.ROUND_SECONDS": 0.1},
    )
    chance = random.Random(5)
    begin = {"": str(cluster.revision)}
    with process:
        eventually(lambda: read_checkpoint(tmp_path / "checkpoint")["acked"] == begin)
        with traffic(cluster, seed=5, rate=300):
            for _ in range(5):
                seen = len(receiver.records)
                receiver.wait_for_records(seen + chance.randrange(1, 200))
                process.kill()
                process.start()
        received_once_or_more(receiver, cluster.ids())

    assert receiver.records.keys() == cluster.ids()
    check(receiver.records.values(), cluster, listed=listed)


def test_a_crash_between_the_frames_of_a_batch_loses_nothing(
    cluster: Cluster, server: ApiServer, tmp_path: Path
) -> None:
    """One tag's frame waits, another's with later states is acked, then the watcher dies."""
    dead = threading.Event()

    def refuse(tag: str, _time: EventTime, record: dict[str, Any]) -> None:
        if not dead.is_set() and record["event"]["reason"] == "Late" and tag.endswith("warning"):
            raise OSError("not this one")

    server.write_kubeconfig(tmp_path / "kubeconfig")
    with Receiver(on_entry=refuse) as receiver:
        process = Process(
            tmp_path,
            *("--kubeconfig", str(tmp_path / "kubeconfig")),
            *("--forward", receiver.url),
            *("--checkpoint", f"file:{tmp_path}/checkpoint"),
            patches={"eventrouter.checkpoint.keeper.ROUND_SECONDS": 0.02},
        )
        with process:
            server.wait_for_watches(1)
            cluster.create(name="before")
            settled = cluster.revision
            eventually(
                lambda: read_checkpoint(tmp_path / "checkpoint")["acked"] == {"": str(settled)}
            )
            # In one batch: the Normal ones before and behind the Warning that is refused.
            server.faults.refuse()
            cluster.create(name="first", reason="Late", type="Normal")
            cluster.create(name="second", reason="Late", type="Warning")
            cluster.create(name="third", reason="Late", type="Normal")
            server.faults.listen()
            eventually(lambda: process.numbers()("errors", stage="sending") >= 2)
            names = {record["event"]["metadata"]["name"] for record in receiver.records.values()}
            assert names == {"before", "first", "third"}
            assert process.numbers()("events_acked") == 3
            process.kill()
        assert read_checkpoint(tmp_path / "checkpoint")["acked"] == {"": str(settled)}
        dead.set()
        with process:
            received_once_or_more(receiver, cluster.ids())


def test_the_queue_stays_bounded_and_the_watch_closed_while_the_sidecar_takes_nothing(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stopped sidecar under traffic: flat, told by the metrics, and made good afterwards."""
    monkeypatch.setattr(outlet, "ROOM_SECONDS", 0.3)
    monkeypatch.setattr(watches, "TOO_SHORT_SECONDS", 0.01)
    monkeypatch.setattr(pipeline, "Queue", partial(Queue, max_records=400, max_bytes=10**6))
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        cluster.fill(10)
        received_once_or_more(receiver, cluster.ids())
        receiver.faults.stop_reading()
        most = 0
        with traffic(cluster, seed=4, rate=1000):
            eventually(lambda: watcher.numbers()("watch", result="queue_full"))
            server.wait_for_watches(0)
            begin = len(cluster.states)
            while len(cluster.states) < begin + 300:
                numbers = watcher.numbers()
                most = max(most, numbers("queue_events"))
                assert not server.open_streams()
        numbers = watcher.numbers()
        assert most <= 400
        assert numbers.add_up()
        assert numbers("events_in_flight") > 0
        receiver.faults.resume()
        received_once_or_more(receiver, cluster.ids())
        numbers = watcher.numbers_at_rest()
        assert numbers.add_up()
        assert numbers("events_acked") == len(cluster.ids())

    check(receiver.records.values(), cluster)


def _has_taken(receiver: Receiver, count: int) -> bool:
    return receiver.count == count


def _nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = {"in": value}
    return value


@pytest.mark.parametrize("by", ["list", "watch"])
def test_records_that_cannot_go_whole_hold_up_nothing(
    by: str, cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Too large, too deep, not to be encoded: cut, marked, counted, and the rest goes by."""
    store = cluster.store

    def odd(name: str, **fields: Any) -> dict[str, Any]:
        metadata = {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": VERSION_MARK.decode(),
            "creationTimestamp": "2026-03-01T10:00:00Z",
        }
        return {"metadata": metadata, "type": "Normal", "reason": "Odd", **fields}

    def write() -> None:
        cluster.create(name="before")
        store.put_raw("default", "large", odd("large", message="x" * 5_000_000))
        store.put_raw("default", "deep", odd("deep", related=_nested(40)))
        store.put_raw("default", "surrogate", odd("surrogate", message="half \ud800 a pair"))
        store.put_raw("default", "number", odd("number", count=2**70))
        cluster.create(name="after")

    if by == "list":
        write()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        if by == "watch":
            write()
        receiver.wait_for_records(6)
        eventually(lambda: _acked(watcher) == cluster.revision)
        numbers = watcher.numbers()

    marks = {
        record["event"]["metadata"]["name"]: record.get("truncated")
        for record in receiver.records.values()
    }
    assert marks.pop("number") in (None, "encoding")  # 2**70 may be a float, which can be sent
    assert marks == {
        "before": None,
        "large": "size",
        "deep": "depth",
        "surrogate": "encoding",
        "after": None,
    }
    assert numbers("events_truncated", reason="size") == 1
    assert numbers("events_truncated", reason="depth") == 1
    assert numbers("events_truncated", reason="encoding") >= 1
    assert numbers.add_up()
    assert numbers("events_acked") == 6


def test_a_large_message_and_its_old_state_arrive_whole(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """The largest event that etcd takes, twice: 1.4 MB and as much again."""
    name = cluster.create(message="a" * 1_400_000)
    listed = cluster.ids()
    with Watcher(server, receiver.url, tmp_path):
        received_once_or_more(receiver, cluster.ids())
        server.wait_for_watches(1)
        cluster.update(name, message="b" * 1_400_000)
        received_once_or_more(receiver, cluster.ids())

    check(receiver.records.values(), cluster, listed=listed)
    assert all("truncated" not in record for record in receiver.records.values())


@pytest.mark.parametrize(
    "claimed",
    [
        {"lastTimestamp": "0001-01-01T00:00:00Z", "firstTimestamp": "0001-01-01T00:00:00Z"},
        {"lastTimestamp": "2999-12-31T23:59:59Z", "eventTime": "2999-12-31T23:59:59.999999Z"},
        {"lastTimestamp": None, "firstTimestamp": None, "eventTime": None},
        {"lastTimestamp": "yesterday", "series": {"lastObservedTime": 7}},
        {"series": {"count": 2, "lastObservedTime": "9999-12-31T23:59:59.999999Z"}},
    ],
    ids=["year 1", "2999", "null", "odd", "9999"],
)
def test_a_time_that_is_not_to_be_believed_gives_way_to_the_creation(
    claimed: dict[str, Any],
    cluster: Cluster,
    server: ApiServer,
    tmp_path: Path,
) -> None:
    """The entry's time, and with it the index, is the day that the API server itself wrote down."""
    times: list[EventTime] = []
    metadata = {
        "name": "odd",
        "namespace": "default",
        "creationTimestamp": "2026-03-01T10:00:00Z",
    }
    with (
        Receiver(on_entry=lambda tag, time, record: times.append(time)) as receiver,
        Watcher(server, receiver.url, tmp_path),
    ):
        server.wait_for_watches(1)
        cluster.store.create({"metadata": metadata, "type": "Normal", **claimed})
        receiver.wait_for_records(1)

    assert times == [EventTime(1772359200, 0)]


def test_each_namespace_has_its_own_position(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Two namespaces, restarted: nothing of the one depends on how far the other has come."""
    for number in range(20):
        cluster.create(namespace="red" if number % 2 else "blue")
    cluster.create(namespace="green")
    wanted = {s.id for s in cluster.states if s.event["metadata"]["namespace"] != "green"}
    namespaces = ("red", "blue")
    with Watcher(server, receiver.url, tmp_path, namespaces=namespaces) as watcher:
        server.wait_for_watches(2)
        received_once_or_more(receiver, wanted)
        cluster.create(namespace="red", name="again")
        last = cluster.states[-1]
        received_once_or_more(receiver, {last.id})
        eventually(lambda: _acked(watcher, "red") == last.revision)
        assert _acked(watcher, "blue") < last.revision
    cluster.create(namespace="blue", name="meanwhile")
    cluster.update(namespace="red", name="again")
    expected = wanted | cluster.ids(after=last.revision - 1)
    with Watcher(server, receiver.url, tmp_path, namespaces=namespaces):
        received_once_or_more(receiver, expected)

    assert sorted(receiver.ids) == sorted(expected)
    check(receiver.records.values(), cluster, listed=wanted)


def test_without_a_checkpoint_each_start_sends_everything_under_the_same_ids(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Repeats are harmless because a state's id never changes."""
    cluster.fill(30)
    for _ in range(2):
        with Watcher(server, receiver.url, tmp_path, checkpoint=False):
            received = receiver.count + 30
            receiver.wait_for(partial(_has_taken, receiver, received))

    assert sorted(receiver.ids) == sorted([*cluster.ids()] * 2)


def test_old_states_can_be_turned_off(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """--old-event-cache 0: no old_event, all else the same."""
    name = cluster.create()
    with Watcher(server, receiver.url, tmp_path, old_event_cache=0):
        server.wait_for_watches(1)
        cluster.update(name)
        received_once_or_more(receiver, cluster.ids())

    assert [record["verb"] for record in receiver.records.values()] == ["ADDED", "UPDATED"]
    assert not any("old_event" in record for record in receiver.records.values())
