"""Look-ups on a real API server: each kind, by uid, with the rights that it needs and no others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from eventrouter.standins.receiver.receiver import Receiver
from tests.e2e.flowcontrol import FlowControl
from tests.e2e.objects import ALL, NAMESPACE, WIDGET, Objects, right
from tests.programs import ApiServer, Watcher
from tests.programs.apiserver import READ_EVENTS
from tests.support.events import state_id
from tests.support.metrics import Samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
# From the write of an event to the receipt of its record: the watcher waits up to 0.9 s for more
# events, and half a second for look-ups.
IN_TIME_SECONDS = 3.0
WIDGET_TEXT = "Widget.v1.example.com/widgets"
Start = Callable[..., Watcher]


@pytest.fixture
def objects(apiserver: ApiServer) -> Objects:
    apiserver.create_namespace(NAMESPACE)
    account = {"metadata": {"name": "default"}}  # a controller's work, and pods need it
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    apiserver.client.call("POST", path, account, accept=(201, 409))
    return Objects(apiserver.client)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def start(apiserver: ApiServer, receiver: Receiver, tmp_path: Path) -> Iterator[Start]:
    """Start a watcher that looks up these kinds, and may `get` those of `rights` (the same)."""
    watchers: list[Watcher] = []

    def starter(
        kinds: Sequence[str],
        *options: str,
        rights: Sequence[str] | None = None,
        wait: bool = True,
    ) -> Watcher:
        rules = [READ_EVENTS, *(right(ALL[kind]) for kind in (kinds if rights is None else rights))]
        words = [WIDGET_TEXT if kind == WIDGET.kind else kind for kind in kinds]
        enrich = ("--enrich", ",".join(words), "--enrich-labels", "app") if kinds else ()
        name = f"watcher-{len(watchers)}"
        watcher = Watcher(
            tmp_path / name,
            kubeconfig=apiserver.kubeconfig_for(name, rules),
            forward=receiver.url,
            options=[*enrich, *options],
        )
        watchers.append(watcher)
        watcher.start(wait=wait)
        return watcher

    yield starter
    for watcher in watchers:
        watcher.kill()


def object_of(receiver: Receiver, state: str) -> Json:
    """What the record of a state says of its object."""
    receiver.wait_for(lambda: state in receiver.records, timeout=20)
    found: Json = receiver.records[state].get("object", {})
    return found


def results(watcher: Watcher) -> dict[str, int]:
    """The records by what they got."""
    name = "eventrouter_enrich_records_total"
    metrics: Samples = watcher.metrics()
    wanted = ("found", "gone", "replaced", "forbidden", "throttled", "late", "failed")
    counts = {result: int(metrics.total(name, result=result)) for result in wanted}
    return {result: count for result, count in counts.items() if count}


def seconds_without_fields(objects: Objects, receiver: Receiver, involved: Json) -> float:
    """From the write of an event to the receipt of its record, which has no fields."""
    began = time.monotonic()
    assert object_of(receiver, objects.event_about(involved)) == {}
    return time.monotonic() - began


def wait_for_labels(objects: Objects, receiver: Receiver, involved: Json) -> None:
    """Until a new event's record has them."""
    eventually(
        lambda: object_of(receiver, objects.event_about(involved)) == {"labels": {"app": "a"}},
        timeout=60,
        what="labels again",
    )


def test_objects_of_every_kind_are_found(
    objects: Objects, receiver: Receiver, start: Start
) -> None:
    objects.define_widgets()
    watcher = start(list(ALL))
    widgets = f"/apis/example.com/v1/namespaces/{NAMESPACE}/widgets"
    eventually(lambda: objects.client.request("GET", widgets).status == 200, what="widgets")
    made = {kind: objects.create(kind, f"the-{kind.lower()}", app=kind.lower()) for kind in ALL}
    states = {kind: objects.event_about(involved) for kind, involved in made.items()}

    shown = {kind: object_of(receiver, state) for kind, state in states.items()}

    assert shown.pop("Node") == {"labels": {"app": "node"}, "node": "the-node"}
    assert shown == {kind: {"labels": {"app": kind.lower()}} for kind in shown}
    # The API server itself may write an event about the Service that was made a moment ago.
    eventually(
        lambda: results(watcher) == {"found": len(receiver.records)},
        timeout=20,
        what=f"no other results than those of {len(ALL)} kinds",
    )


def test_owners_are_followed_to_the_top(objects: Objects, receiver: Receiver, start: Start) -> None:
    start(["Pod", "ReplicaSet", "Deployment", "Job", "CronJob"])
    tops = {}
    for chain in (("Deployment", "ReplicaSet", "Pod"), ("CronJob", "Job", "Pod")):
        top = owner = objects.create(chain[0], f"top-{chain[0].lower()}")
        for kind in chain[1:]:
            owner = objects.create(kind, f"of-{chain[0].lower()}", owner=owner)
        tops[objects.event_about(owner)] = top

    for state, top in tops.items():
        expected = {key: top[key] for key in ("kind", "name", "uid")}
        assert object_of(receiver, state) == {"owner": expected}


def test_a_pod_that_was_replaced_under_its_name_or_deleted_gives_no_wrong_labels(
    objects: Objects, receiver: Receiver, start: Start
) -> None:
    watcher = start(["Pod"])
    old = objects.create("Pod", "web-0", app="old")
    objects.delete("Pod", "web-0")
    gone = objects.event_about(old)
    assert object_of(receiver, gone) == {}
    earlier = objects.create("Pod", "web-1", app="earlier")
    objects.delete("Pod", "web-1")
    new = objects.create("Pod", "web-1", app="new")

    replaced, found = objects.event_about(earlier), objects.event_about(new)

    assert object_of(receiver, replaced) == {}
    assert object_of(receiver, found) == {"labels": {"app": "new"}}
    assert results(watcher) == {"gone": 1, "replaced": 1, "found": 1}


def test_a_right_that_is_missing_for_one_kind_costs_the_others_nothing(
    objects: Objects, receiver: Receiver, start: Start
) -> None:
    watcher = start(["Pod", "Ingress"], rights=["Pod"])
    pod, ingress = objects.create("Pod", "web", app="a"), objects.create("Ingress", "web", app="b")
    states = [objects.event_about(involved) for involved in (ingress, pod, ingress, pod)]

    shown = [object_of(receiver, state) for state in states]

    assert shown == [{}, {"labels": {"app": "a"}}] * 2
    assert results(watcher) == {"forbidden": 2, "found": 2}


def test_an_api_server_that_answers_429_is_left_alone_and_delays_no_record(
    apiserver: ApiServer, objects: Objects, receiver: Receiver, start: Start
) -> None:
    watcher = start(["Pod"])
    pods = [objects.create("Pod", f"web-{number}", app="a") for number in range(5)]
    flow_control = FlowControl(apiserver, "watcher-0")
    flow_control.let("429")

    began = time.monotonic()
    seconds = [seconds_without_fields(objects, receiver, pod) for pod in pods]
    took = time.monotonic() - began

    print(f"records without fields after {sorted(seconds)} s")
    assert median(seconds) < IN_TIME_SECONDS
    assert results(watcher) == {"throttled": len(pods)}
    # The API server says Retry-After: 1, and four may be on the way when it says so.
    lookups = watcher.metrics().total("eventrouter_enrich_lookups_total")
    assert 1 <= lookups <= 4 * (took + 1)
    flow_control.lift()
    wait_for_labels(objects, receiver, pods[0])


def test_an_api_server_that_is_slow_and_then_away_delays_no_record(
    apiserver: ApiServer, objects: Objects, receiver: Receiver, start: Start
) -> None:
    watcher = start(["Pod"])
    pods = [objects.create("Pod", f"web-{number}", app="a") for number in range(10)]
    flow_control = FlowControl(apiserver, "watcher-0")
    flow_control.let("wait")

    seconds = [seconds_without_fields(objects, receiver, pod) for pod in pods]
    with apiserver.client.watch_events() as events:
        last = [objects.event_about(pod) for pod in pods]
        missing = set(last)
        while missing:
            missing.discard(state_id(next(events)))
    apiserver.kill()
    receiver.wait_for(lambda: set(last) <= receiver.records.keys())

    print(f"records without fields after {sorted(seconds)} s")
    assert median(seconds) < IN_TIME_SECONDS
    assert not any("object" in receiver.records[state] for state in last)
    assert results(watcher).keys() <= {"late", "failed", "throttled"}
    assert results(watcher)["late"] >= 1
    apiserver.start()
    flow_control.lift()
    wait_for_labels(objects, receiver, pods[0])


def test_look_ups_are_of_the_same_flow_as_all_service_accounts(
    apiserver: ApiServer, objects: Objects, start: Start
) -> None:
    """The API server's fairness holds them against others' requests of workload-low, no higher."""
    start(["Pod"])
    objects.create("Pod", "web")
    client = FlowControl(apiserver, "watcher-0").as_account

    answer = client.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/web")

    api = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/workload-low"
    level = objects.client.call("GET", api)["metadata"]["uid"]
    assert answer.status == 200
    assert answer.headers["X-Kubernetes-PF-PriorityLevel-UID"] == level


def test_a_burst_of_10_000_events_about_5_000_pods_is_in_time_and_within_the_limit(
    objects: Objects, receiver: Receiver, start: Start, record_property: Callable[[str, Any], None]
) -> None:
    """All of them at once: they are there when the watcher starts."""

    def make(number: int) -> None:
        pod = objects.create("Pod", f"web-{number}", app="a")
        for _ in range(2):
            objects.event_about(pod)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(5000)))

    def seconds(kinds: Sequence[str]) -> tuple[float, float, Watcher]:
        """From the start of a watcher to its first record, and to its last."""
        before, began = len(receiver.ids), time.monotonic()
        watcher = start(kinds, wait=False)
        receiver.wait_for(lambda: len(receiver.ids) > before, timeout=60)
        first = time.monotonic() - began
        receiver.wait_for(lambda: len(receiver.ids) >= before + 10_000, timeout=120)
        return first, time.monotonic() - began, watcher

    first, last, plain = seconds([])
    plain.kill()
    late_first, late_last, watcher = seconds(["Pod"])

    metrics = watcher.metrics()
    lookups = metrics.total("eventrouter_enrich_lookups_total")
    for name, value in (
        ("seconds to the first record, plain and with look-ups", (first, late_first)),
        ("seconds to the last record", (last, late_last)),
        ("look-ups", lookups),
        ("records by result", results(watcher)),
        ("bytes of the cache", metrics.total("eventrouter_enrich_cache_bytes")),
        ("resident bytes", metrics.total("process_resident_memory_bytes")),
    ):
        print(f"{name}: {value}")
        record_property(name, value)
    # To wait for all look-ups would take 96 s: 4,800 of them, 50 a second.
    assert late_first - first < 10
    assert late_last - last < 40
    assert lookups <= 200 + 50 * late_last
    assert metrics.total("eventrouter_enrich_lookups_total", result="throttled") == 0
