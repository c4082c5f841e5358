"""Rules in words, at work: Fluent Bit lets those events through that the words mean."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
import urllib3

from tests.chart.sinks import SECONDS, Sink, send, wait_for_delivery
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

Json = dict[str, Any]


def event(
    *, kind="Pod", namespace="shop", name="web-0", component="kubelet", reporting="", **fields
):
    involved = {"kind": kind, "name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "involvedObject": involved,
        "source": {"component": component} if component else {},
        "reportingComponent": reporting,
        "message": "plain",
        **fields,
    }


EVENTS = [
    event(type=type_, reason=reason, kind=kind, namespace=namespace)
    for type_, reason, kind, namespace in itertools.product(
        ("Normal", "Warning"), ("Pulled", "BackOff"), ("Pod", "Job"), ("shop", "test-a")
    )
]
EVENTS += [event(reason="Counted", count=count) for count in (None, 0, 1, 9, 10, 11, 99, 100, 4096)]
EVENTS += [
    event(reason="Series", count=None, series={"count": 12, "lastObservedTime": None}),
    event(kind="Node", namespace="", name="node-1.example.com", reason="Rebooted"),
    event(kind="Node", namespace="", name="node-1xexample.com", reason="Rebooted"),
    event(component="", reporting="kubelet", reason="New"),
    event(component="scheduler", reporting="scheduler", reason="New"),
    event(message="first line\nOOM killed"),
    event(message="a+b (c) [d] $1 ${x} \\ 日本"),
    event(message="before \x00 after"),
    event(message=""),
    event(message="x" * 30_000 + "needle"),
]
RULES: dict[str, Json] = {
    "all": {},
    "text": {"include": [{"reason": "BackOff"}]},
    "list": {"include": [{"reason": ["BackOff", "Rebooted", "Nothing"]}]},
    "expression": {"include": [{"reason": "/^(Back|Re)/"}]},
    "mixed": {"include": [{"reason": ["BackOff", "/boot/", "/^COUNT/i"]}]},
    "one-entry": {"include": [{"reason": "BackOff", "kind": "Pod", "namespace": "shop"}]},
    "two-entries": {"include": [{"reason": "BackOff", "kind": "Pod"}, {"kind": "Node"}]},
    "exclude": {"exclude": [{"reason": "Pulled", "namespace": "/^test-/"}, {"kind": "Job"}]},
    "both": {"include": [{"type": "Warning"}], "exclude": [{"namespace": "/^test-/"}]},
    "whole-text": {"include": [{"reason": "Back"}, {"reason": "BackOff\n"}]},
    "no-wildcard": {"include": [{"name": "node-1.example.com"}]},
    "no-namespace": {"include": [{"namespace": ""}]},
    "component": {"include": [{"component": "kubelet", "reason": "/./"}]},
    "other-component": {"exclude": [{"component": "kubelet"}]},
    "at-least-10": {"include": [{"minCount": 10}]},
    "at-least-1": {"include": [{"minCount": 1, "reason": "/./"}]},
    "at-least-99": {"exclude": [{"minCount": 99}]},
    "at-least-100": {"include": [{"minCount": 100}, {"reason": "Pulled"}]},
    "message-text": {"include": [{"message": "a+b (c) [d] $1 ${x} \\ 日本"}]},
    "after-a-zero": {"include": [{"message": "/after/"}]},
    "any-line": {"include": [{"message": "/^OOM/"}]},
    "far": {"include": [{"message": "/needle$/"}]},
    "none": {"include": [{"reason": "/never/"}]},
}


def wanted(rules: Json, record: Json) -> bool:
    """Whether the words let a record through."""
    include, exclude = rules.get("include", []), rules.get("exclude", [])
    is_included = not include or any(_holds(entry, record) for entry in include)
    return is_included and not any(_holds(entry, record) for entry in exclude)


def _holds(entry: Json, record: Json) -> bool:
    event = record["event"]
    involved = event["involvedObject"]
    values = {
        "namespace": [involved.get("namespace", "")],
        "kind": [involved["kind"]],
        "name": [involved["name"]],
        "reason": [event["reason"]],
        "type": [event["type"]],
        "message": [event["message"]],
        "component": [event["source"].get("component", ""), event["reportingComponent"]],
    }
    counts = [event.get("count") or 0, event.get("series", {}).get("count", 0)]
    return all(
        max(counts) >= patterns
        if field == "minCount"
        else any(
            _matches(pattern, value)
            for value in values[field]
            for pattern in ([patterns] if isinstance(patterns, str) else patterns)
        )
        for field, patterns in entry.items()
    )


def _matches(pattern: str, value: str) -> bool:
    expression = re.fullmatch(r"/(.+)/(i?)", pattern)
    if not expression:
        return pattern == value
    flags = re.MULTILINE | (re.IGNORECASE if expression[2] else 0)
    return re.search(expression[1], value, flags) is not None


def received(sink: Sink) -> dict[str, list[str]]:
    """The records' ids, by the path to which they were posted."""
    ids: dict[str, list[str]] = {}
    for request in sink.taken:
        for line in request.body.splitlines():
            ids.setdefault(request.path.strip("/"), []).append(json.loads(line)["id"])
    return ids


def hook(sink: Sink, name: str, **values: Any) -> Json:
    address = {"host": "127.0.0.1", "port": sink.port, "uri": f"/{name}"}
    return {"type": "http", **address, "tls": {"enabled": False}, **values}


def test_each_output_gets_what_its_rules_mean_and_no_output_the_less_for_another(start_sidecar):
    with Sink(then=200) as sink:
        outputs = {name: hook(sink, name, rules=rules) for name, rules in RULES.items()}
        sidecar = start_sidecar({"outputs": outputs})
        sent = send(sidecar, EVENTS)
        wait_for_delivery(sidecar)

        got = received(sink)
        for name, rules in RULES.items():
            expected = [entry.id for entry in sent if wanted(rules, entry.record)]
            assert sorted(got.get(name, [])) == sorted(expected), name
        # So that the table says something: each but these two lets some through, and not all.
        counts = {name: len(got.get(name, [])) for name in RULES}
        assert {name for name, count in counts.items() if count == len(EVENTS)} == {"all"}
        assert {name for name, count in counts.items() if not count} == {"none", "whole-text"}


def test_a_record_that_passes_is_as_it_was(start_sidecar):
    rules = {"include": [{"reason": "BackOff"}, {"kind": "Node", "type": "/./"}]}
    with Sink(then=200) as sink:
        sidecar = start_sidecar({"outputs": {"hook": hook(sink, "hook", rules=rules)}})
        odd = {
            "reason": "BackOff",
            "count": 2**53 + 1,
            "message": "ü \u2028 \x00 \\",
            "action": None,
        }
        (entry,) = send(sidecar, [odd])
        wait_for_delivery(sidecar)
        (request,) = sink.taken
        assert json.loads(request.body) == entry.record


def test_the_filter_and_fields_of_all_events(start_sidecar):
    filter_ = {"exclude": [{"reason": "Pulled"}, {"kind": "Node", "namespace": ""}]}
    with Sink(then=200) as sink:
        sidecar = start_sidecar(
            {
                "filter": filter_,
                "extraFields": {"region": "${REGION}", "environment": 'production "of" ours'},
                "outputs": {"one": hook(sink, "one"), "two": hook(sink, "two")},
                "fluentBit": {"env": [{"name": "REGION", "value": "eu central"}]},
            }
        )
        # Acknowledged, whether anything is left of it or not.
        sent = send(sidecar, EVENTS)
        assert send(sidecar, [event(reason="Pulled", type="Normal")], first=len(sent))
        wait_for_delivery(sidecar)

        expected = sorted(entry.id for entry in sent if wanted(filter_, entry.record))
        assert {name: sorted(ids) for name, ids in received(sink).items()} == {
            "one": expected,
            "two": expected,
        }
        for request in sink.taken:
            for line in request.body.splitlines():
                record = json.loads(line)
                assert record["region"] == "eu central"
                assert record["environment"] == 'production "of" ours'

        dropped = len(sent) + 1 - len(expected)
        url = f"http://127.0.0.1:{sidecar.http_port}/api/v2/metrics/prometheus"
        counter = (
            r'^fluentbit_processor_items_drop_total\{scope="input",owner="watcher",.*\} (\d+)$'
        )

        def counted():
            text = urllib3.request("GET", url).data.decode()
            return sum(map(int, re.findall(counter, text, re.MULTILINE)))

        eventually(lambda: counted() == dropped, timeout=SECONDS, what="the count of dropped")
