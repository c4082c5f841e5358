"""A known set of events: two days of the demo's stories, and of troubles that the demo spares."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from msgspec import UNSET

from eventrouter.capture.record import Record, Shaper
from eventrouter.demo.cast import APPS, JOBS, NODES, Cast, Event
from eventrouter.demo.scenario import Chronicle, happenings
from eventrouter.standins.apiserver.changes import Change
from eventrouter.standins.apiserver.store import EventStore
from tests.support.events import read
from tests.support.values import unpack

Json = dict[str, Any]

EVENTS = 5_000
# Far enough from the borders of the periods, which move while a test runs.
_OLDEST, _NEWEST = timedelta(hours=47), timedelta(minutes=10)
_BORDER, _MARGIN = timedelta(hours=24), timedelta(minutes=10)
_TROUBLE_EVERY = 9  # happenings
_CLUSTERS = ("berlin", "oslo", None)  # one has no name
_LATE = 0.1  # of the look-ups


@dataclass(frozen=True, slots=True)
class Document:
    """One state, as Fluent Bit writes it."""

    id: str
    index: str
    source: Json
    at: datetime


def known_documents(*, now: datetime, seed: int = 16) -> list[Document]:
    """All states of EVENTS events, spread over the two days before `now`."""
    chance = random.Random(seed)
    coming, troubles = happenings(chance), _troubles(Cast(chance))
    written: list[tuple[float, Event]] = []
    passed = 0.0
    names: set[str] = set()
    while len(names) < EVENTS:
        gap, event = next(coming)
        passed += gap
        if len(written) % _TROUBLE_EVERY == 0:
            event = next(troubles)
        names.add(event["metadata"]["name"])
        written.append((passed, event))
    store, shapers = EventStore(), [Shaper(cluster=name) for name in _CLUSTERS]
    changes = store.watch(store.revision)
    chronicle = Chronicle(store)
    for seconds, event in written:
        chronicle.write(event, at=_moment(seconds / passed, now))
    return [
        _document(_shaped(shapers, change, chance))
        for change in changes.take(timeout=10)
        if isinstance(change, Change)
    ]


def _moment(part: float, now: datetime) -> datetime:
    """The time of a part of the whole, none near a border."""
    before, after = _OLDEST - _BORDER - _MARGIN, _BORDER - _MARGIN - _NEWEST
    passed = part * (before + after)
    return now - _OLDEST + passed + (2 * _MARGIN if passed > before else timedelta())


def _shaped(shapers: list[Shaper], change: Change, chance: random.Random) -> Record:
    """The record of the event's cluster, with what a look-up found of its object, if it did."""
    event = json.loads(change.item)
    namespace: str = event["metadata"]["namespace"]
    shaper = shapers[sum(namespace.encode()) % len(shapers)]
    owner = _owner(event["involvedObject"])
    is_late = chance.random() < _LATE
    shaper.details = UNSET if owner is None or is_late else {"owner": owner, "node": NODES[0]}
    return shaper.shape(read(event), "ADDED" if change.type == "ADDED" else "UPDATED", None)


def _owner(involved: Json) -> Json | None:
    """The top of what owns it. Names are made of that of the owner."""
    if involved["kind"] not in ("Pod", "ReplicaSet", "Job"):
        return None
    for kind, workloads in (("Deployment", APPS), ("CronJob", JOBS)):
        for namespace, name in workloads:
            if involved["namespace"] == namespace and involved["name"].startswith(f"{name}-"):
                return {"kind": kind, "name": name, "uid": f"uid-of-{name}"}
    return None


def _document(record: Record) -> Document:
    stamp, source = unpack(record.entry)
    seconds, nanoseconds = (int.from_bytes(stamp.data[at : at + 4], "big") for at in (0, 4))
    at = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanoseconds // 1000)
    source["@timestamp"] = at.isoformat(timespec="microseconds")
    return Document(source["id"], f"kube-events-{at:%Y.%m.%d}", source, at)


def _troubles(cast: Cast) -> Iterator[Event]:
    """What the demo does not tell, each trouble by turns and some of it again and again."""
    tellings = cycle((_bad_image, _evicted, _sick_node, _no_volume, _no_scale_up, _out_of_memory,
                      _forbidden_pod))  # fmt: skip
    for tell in tellings:
        yield from tell(cast)


def _warning(event: Event) -> Event:
    return event | {"type": "Warning"}


def _bad_image(cast: Cast) -> Iterator[Event]:
    pod = cast.running_pod()
    failed = f'Failed to pull image "{pod.image}": manifest unknown'
    yield cast.in_container(pod, "Pulling", f'Pulling image "{pod.image}"')
    yield _warning(cast.in_container(pod, "Failed", failed))
    yield _warning(cast.in_container(pod, "Failed", "Error: ErrImagePull"))
    back_off = cast.in_container(pod, "BackOff", f'Back-off pulling image "{pod.image}"')
    yield from [back_off] * cast.chance.randint(2, 6)
    # Of a container that did start: no image is missing here.
    yield _warning(cast.in_container(pod, "Failed", "Error: failed to create containerd task"))


def _evicted(cast: Cast) -> Iterator[Event]:
    pod = cast.running_pod()
    low = "The node was low on resource: ephemeral-storage."
    met = "Attempting to reclaim ephemeral-storage"
    full = "Failed to garbage collect required amount of images."
    yield _warning(cast.of_node(pod.node, "EvictionThresholdMet", met))
    yield _warning(cast.of_pod(pod, "Evicted", low))
    yield _warning(cast.of_node(pod.node, "FreeDiskSpaceFailed", full))


def _sick_node(cast: Cast) -> Iterator[Event]:
    node = cast.chance.choice(NODES)
    pressure = f"Node {node} status is now: NodeHasDiskPressure"
    yield cast.of_node(node, "NodeHasDiskPressure", pressure)
    yield _warning(cast.of_node(node, "Rebooted", f"Node {node} has been rebooted"))


def _no_volume(cast: Cast) -> Iterator[Event]:
    pod = cast.running_pod()
    attach = _warning(
        cast.of_pod(pod, "FailedAttachVolume", 'Multi-Attach error for volume "data"'),
    )
    yield from [attach] * cast.chance.randint(1, 3)
    yield _warning(
        cast.by_controller(
            pod.app, "PersistentVolumeClaim", f"data-{pod.app.name}", "ProvisioningFailed",
            "storageclass.storage.k8s.io not found", loop="persistentvolume-controller",
        )
    )  # fmt: skip


def _no_scale_up(cast: Cast) -> Iterator[Event]:
    pod = cast.running_pod()
    never = cast.of_pod(
        pod, "NotTriggerScaleUp", "pod didn't trigger scale-up", loop="cluster-autoscaler"
    )
    yield from [never] * cast.chance.randint(1, 4)
    yield cast.of_pod(pod, "Preempted", "Preempted by a pod", loop="default-scheduler")


def _out_of_memory(cast: Cast) -> Iterator[Event]:
    node = cast.chance.choice(NODES)
    killed = "Memory cgroup out of memory: Killed process (java)"
    yield _warning(cast.of_node(node, "OOMKilling", killed, loop="kernel-monitor"))
    yield _warning(cast.of_node(node, "SystemOOM", "System OOM encountered"))


def _forbidden_pod(cast: Cast) -> Iterator[Event]:
    app = cast.app()
    forbidden = "Error creating: pods is forbidden: exceeded quota: compute"
    failed = _warning(cast.by_replica_set(app, f"{app.name}-7d9c5b6f48", "FailedCreate", forbidden))
    yield from [failed] * cast.chance.randint(1, 5)
