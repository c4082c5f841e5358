"""Each alert about the cluster fires on what the counters of events show, where it happened.

The series are as Prometheus has them: `exported_namespace` is the object's, and a new series is 0
at first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from tests.chart.promtool import check_firing, check_rules, write_rules

STEP_SECONDS = 30
# So many steps at 0, and the alerts look back half as far.
QUIET = 60
TURN = QUIET * STEP_SECONDS
LOOKS_BACK = 900
VALUES = {
    "watch": {"countEvents": {"enabled": True}},
    "prometheusRule": {"clusterAlerts": True},
}
LEADER, FOLLOWER = "10.0.0.1:8080", "10.0.0.2:8080"


def series(
    reason, *, kind="Pod", namespace="shop", cluster="sick", instance=LEADER, type_="Warning"
):
    """The name of one. Prometheus drops a label that is empty."""
    labels = {
        "cluster": cluster,
        "namespace": "logging",
        "job": "events-eventrouter",
        "instance": instance,
        "type": type_,
        "reason": reason,
        "kind": kind,
        "exported_namespace": namespace,
    }
    text = ",".join(f'{key}="{value}"' for key, value in labels.items() if value)
    return f"eventrouter_kubernetes_events_total{{{text}}}"


def rises_to(value):
    """Nothing for half an hour, then this, in one step."""
    return f"0x{QUIET - 1} {value}x{QUIET * 2}"


@dataclass
class Case:
    """What happened, so many times, and the alert that comes of it."""

    alert: str
    happened: str
    times: int = 1
    labels: dict[str, str] = field(default_factory=lambda: {"exported_namespace": "shop"})


CASES = [
    Case("KubernetesFailedScheduling", series("FailedScheduling")),
    Case("KubernetesPodsEvicted", series("Evicted")),
    Case("KubernetesBackOff", series("BackOff"), times=20),
    Case(
        "KubernetesNodeNotReady",
        series("NodeNotReady", kind="Node", namespace="", type_="Normal"),
        labels={},
    ),
    Case("KubernetesSystemOOM", series("SystemOOM", kind="Node", namespace=""), labels={}),
    Case("KubernetesSystemOOM", series("OOMKilling", kind="Node", namespace=""), labels={}),
]
UNSUSPICIOUS = {
    series("Pulled", type_="Normal"): 1000,
    series("BackOff"): 5,
    series("BackOff", namespace="other"): 9,
    series("Evicted", kind="Job"): 1000,
    series("FailedSchedulingOfSomething"): 1000,
    series("NodeNotReady"): 1000,  # written about a pod
    series("other", kind="other"): 1000,
}


@pytest.fixture
def rules(tmp_path):
    """The group about the cluster, alone."""
    path = write_rules(tmp_path, values=VALUES)
    ours, cluster = json.loads(path.read_text())["groups"]
    assert not {rule["alert"] for rule in ours["rules"]} & {r["alert"] for r in cluster["rules"]}
    path.write_text(json.dumps({"groups": [cluster]}))
    return path


def check(rules, happened, expected):
    check_firing(rules, happened, expected, interval_seconds=STEP_SECONDS)


def alert(case, **more):
    return {"alertname": case.alert, "severity": "warning", **case.labels, **more}


def test_prometheus_takes_the_alerts(rules):
    check_rules(rules)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_for_the_cluster_and_the_namespace_and_ends_by_itself(rules, case):
    well = case.happened.replace('"sick"', '"well"')
    happened = {case.happened: rises_to(case.times), well: rises_to(0)}
    check(
        rules,
        happened,
        {
            TURN - 60: [],
            TURN + 60: [alert(case, cluster="sick")],
            TURN + LOOKS_BACK + 120: [],
        },
    )


def test_every_alert_is_tried(rules):
    (group,) = json.loads(rules.read_text())["groups"]
    assert {case.alert for case in CASES} == {rule["alert"] for rule in group["rules"]}


def test_nothing_fires_on_what_is_like_it(rules):
    happened = {name: rises_to(times) for name, times in UNSUSPICIOUS.items()}
    check(rules, happened, {at: [] for at in (TURN - 60, TURN + 60, TURN + 600)})


def test_a_series_that_is_0_when_it_appears_counts_from_there(rules):
    """As the watcher shows a new one: 0 at the first scrape, what it has at the second."""
    case = CASES[0]
    happened = {case.happened: f"_x{QUIET - 1} 0 3x{QUIET}"}
    check(rules, happened, {TURN + 90: [alert(case, cluster="sick")]})


def test_a_takeover_is_no_occurrence(rules):
    """The counters of the replica that led end, and those of the other begin at 0."""
    name = series("FailedScheduling")
    happened = {
        name: f"7x{QUIET - 1} stale",
        series("FailedScheduling", instance=FOLLOWER): f"_x{QUIET - 1} 0x{QUIET}",
    }
    check(rules, happened, {at: [] for at in (TURN - 60, TURN + 60, TURN + 600)})


def test_without_a_label_for_clusters_an_alert_is_of_all(tmp_path):
    values = {**VALUES, "prometheusRule": {"clusterAlerts": True, "clusterLabel": ""}}
    rules = write_rules(tmp_path, values=values)
    rules.write_text(json.dumps({"groups": json.loads(rules.read_text())["groups"][1:]}))
    check_rules(rules)
    happened = {
        series("NodeNotReady", kind="Node", namespace="", cluster=cluster): rises_to(1)
        for cluster in ("one", "two")
    }
    (case,) = (case for case in CASES if case.alert == "KubernetesNodeNotReady")
    check(rules, happened, {TURN + 60: [alert(case)]})
