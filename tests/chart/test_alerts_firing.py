"""Each alert fires on what it is for, in the cluster that has it, and on nothing else.

The series are written by hand, with the names and labels that the metrics have once Prometheus has
scraped them. test_alerts_recorded.py has some that were recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from tests.chart.promtool import check_firing, check_rules, write_rules

STEP_SECONDS = 30
STEPS = 240
ENDS_AT = STEP_SECONDS * STEPS
NO_CHANGE = f"0x{STEPS}"
MOVING = f"0+{STEP_SECONDS}x{STEPS}"
# Well for half an hour, then as it was then.
TURN = 1800
HELD = f"0+{STEP_SECONDS}x{TURN // STEP_SECONDS} {TURN}x{STEPS}"
RISING = f"0x{TURN // STEP_SECONDS} 0+1x{STEPS}"


def not_a_number(steps):
    """promtool takes no `NaNx9`."""
    return " ".join(["NaN"] * steps)


WATCHER = {"namespace": "logging", "job": "events-eventrouter", "instance": "10.0.0.1:8080"}
SIDECAR = WATCHER | {"instance": "10.0.0.1:2020"}


def name_of(metric, cluster, target, **labels):
    every = {"cluster": cluster, **target, **labels}
    return "{}{{{}}}".format(metric, ",".join(f'{key}="{text}"' for key, text in every.items()))


def of_cluster(cluster, changes=None):
    """All series of a pair that is well, but for these changes: what each shows instead."""
    watcher = {
        'build_info{version="1"}': f"1x{STEPS}",
        "leading": f"1x{STEPS}",
        "events_contact_timestamp_seconds": MOVING,
        'events_contact_timestamp_seconds{exported_namespace="shop"}': MOVING,
        "last_ack_timestamp_seconds": MOVING,
        'buffer_chunks{outputs="required"}': f"2x{STEPS}",
        'buffer_chunks{outputs="optional"}': NO_CHANGE,
        'buffer_oldest_chunk_timestamp_seconds{outputs="required"}': MOVING,
        'buffer_oldest_chunk_timestamp_seconds{outputs="optional"}': not_a_number(STEPS),
        'errors_total{stage="buffer",error_type="missing"}': NO_CHANGE,
        'errors_total{stage="receiving",error_type="refused"}': RISING,
        'events_discarded_total{reason="bad_line"}': NO_CHANGE,
        'events_discarded_total{reason="leadership_lost"}': RISING,
        'checkpoint_writes_total{result="ok"}': RISING,
        'checkpoint_writes_total{result="failed"}': NO_CHANGE,
        'setup_incomplete{output="elasticsearch",index="kube-events-*"}': NO_CHANGE,
        'setup_incomplete{output="second",index="kube-events-*"}': not_a_number(STEPS),
    }
    sidecar = {
        'retries_total{name="elasticsearch"}': NO_CHANGE,
        'dropped_records_total{name="elasticsearch"}': NO_CHANGE,
        'dropped_records_total{name="archive"}': NO_CHANGE,
    }
    changed = changes or {}
    assert changed.keys() <= watcher.keys() | sidecar.keys()
    for prefix, target, metrics in (
        ("eventrouter_", WATCHER, watcher),
        ("fluentbit_output_", SIDECAR, sidecar),
    ):
        for metric, values in metrics.items():
            base, _, labels = metric.rstrip("}").partition("{")
            own = dict(pair.split("=") for pair in labels.replace('"', "").split(",") if pair)
            yield name_of(prefix + base, cluster, target, **own), changed.get(metric, values)


@dataclass
class Case:
    """What changes half an hour after the start, and the alert that is to come of it."""

    alert: str
    changes: dict[str, str]
    severity: str = "critical"
    labels: dict[str, str] = field(default_factory=dict)
    after: int = 600
    not_before: int = 290


CASES = [
    Case(
        "EventrouterDown",
        {'build_info{version="1"}': f"1x{TURN // STEP_SECONDS - 1} stale"},
    ),
    Case(
        "EventrouterNoLeader",
        {
            "leading": f"1x{TURN // STEP_SECONDS - 1} 0x{STEPS}",
            "events_contact_timestamp_seconds": "0+30x60 stale",
            'events_contact_timestamp_seconds{exported_namespace="shop"}': "0+30x60 stale",
        },
    ),
    Case("EventrouterApiServerSilent", {"events_contact_timestamp_seconds": HELD}),
    Case(
        "EventrouterApiServerSilent",
        {'events_contact_timestamp_seconds{exported_namespace="shop"}': HELD},
        labels={"exported_namespace": "shop"},
    ),
    Case("EventrouterSidecarSilent", {"last_ack_timestamp_seconds": HELD}),
    Case(
        "EventrouterDeliveryStalled",
        {'buffer_oldest_chunk_timestamp_seconds{outputs="required"}': HELD},
        severity="warning",
        labels={"outputs": "required"},
        after=1260,
        not_before=1170,
    ),
    Case(
        "EventrouterDeliveryStalled",
        {
            'buffer_oldest_chunk_timestamp_seconds{outputs="optional"}': (
                f"{not_a_number(60)} {TURN}x{STEPS}"
            )
        },
        severity="warning",
        labels={"outputs": "optional"},
        after=1260,
        not_before=1170,
    ),
    Case(
        "EventrouterBufferFilling",
        {
            'buffer_chunks{outputs="required"}': f"2x60 6500x{STEPS}",
            'buffer_chunks{outputs="optional"}': f"0x60 6500x{STEPS}",
        },
    ),
    Case(
        "EventrouterBufferUnseen",
        {
            'errors_total{stage="buffer",error_type="missing"}': RISING,
            'buffer_chunks{outputs="required"}': not_a_number(STEPS),
            'buffer_oldest_chunk_timestamp_seconds{outputs="required"}': not_a_number(STEPS),
        },
        severity="warning",
        after=900,
        not_before=590,
    ),
    Case(
        "EventrouterOutputFailing",
        # One try in five minutes, as after a long outage.
        {'retries_total{name="elasticsearch"}': "0x60 " + " ".join(f"{n}x9" for n in range(1, 15))},
        severity="warning",
        labels={"name": "elasticsearch"},
        after=1260,
        not_before=890,
    ),
    Case(
        "EventrouterOutputDropping",
        {'dropped_records_total{name="elasticsearch"}': f"0x60 7x{STEPS}"},
        labels={"name": "elasticsearch"},
        after=60,
        not_before=0,
    ),
    Case(
        "EventrouterEventsDiscarded",
        {'events_discarded_total{reason="bad_line"}': f"0x60 1x{STEPS}"},
        severity="warning",
        labels={"reason": "bad_line"},
        after=60,
        not_before=0,
    ),
    Case(
        "EventrouterCheckpointFailing",
        {'checkpoint_writes_total{result="failed"}': RISING},
        severity="warning",
        after=900,
        not_before=590,
    ),
    Case(
        "EventrouterIndexNotSetUp",
        {'setup_incomplete{output="elasticsearch",index="kube-events-*"}': f"0x60 1x{STEPS}"},
        severity="warning",
        labels={"output": "elasticsearch", "index": "kube-events-*"},
    ),
]


@pytest.fixture
def rules(tmp_path):
    return write_rules(tmp_path)


def check(rules, changes, expected):
    series = {**dict(of_cluster("sick", changes)), **dict(of_cluster("well"))}
    check_firing(rules, series, expected, interval_seconds=STEP_SECONDS)


def test_prometheus_takes_the_alerts(rules):
    check_rules(rules)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_alert_fires_for_the_cluster_that_is_sick(rules, case):
    alert = {"alertname": case.alert, "severity": case.severity, "cluster": "sick", **case.labels}
    check(rules, case.changes, {TURN + case.not_before: [], TURN + case.after: [alert]})


def test_every_alert_is_tried(rules):
    (group,) = json.loads(rules.read_text())["groups"]
    assert {case.alert for case in CASES} == {rule["alert"] for rule in group["rules"]}


def test_nothing_fires_where_all_is_well(rules):
    check(rules, {}, {at: [] for at in range(0, ENDS_AT, 600)})


def test_an_index_that_one_replica_could_set_up_is_set_up(rules):
    """A pod that started while the server was away does not outdo one that started later."""
    incomplete = 'setup_incomplete{output="elasticsearch",index="kube-events-*"}'
    series = dict(of_cluster("sick", {incomplete: f"1x{STEPS}"}))
    later = {"output": "elasticsearch", "index": "kube-events-*", "instance": "10.0.0.2:8080"}
    second = name_of("eventrouter_setup_incomplete", "sick", WATCHER, **later)
    alert = {
        "alertname": "EventrouterIndexNotSetUp",
        "severity": "warning",
        "cluster": "sick",
        "output": "elasticsearch",
        "index": "kube-events-*",
    }
    series[second] = f"{not_a_number(60)} 0x{STEPS}"
    check_firing(rules, series, {TURN - 60: [alert], TURN + 60: []}, interval_seconds=STEP_SECONDS)


def test_without_any_metrics_the_pair_is_down(rules):
    alert = {
        "alertname": "EventrouterDown",
        "severity": "critical",
        "namespace": "logging",
        "job": "events-eventrouter",
    }
    check_firing(rules, {"up": "1x100"}, {280: [], 330: [alert]}, interval_seconds=STEP_SECONDS)


def test_the_tries_of_an_s3_output_page_nobody(tmp_path):
    outputs = {"archive": {"type": "s3", "bucket": "events"}}
    changes = {'dropped_records_total{name="archive"}': RISING}
    named = {
        "alertname": "EventrouterOutputDropping",
        "severity": "critical",
        "cluster": "sick",
        "name": "archive",
    }
    check(write_rules(tmp_path), changes, {ENDS_AT: [named]})
    check(write_rules(tmp_path, values={"outputs": outputs}), changes, {ENDS_AT: []})


def test_clusters_can_be_told_apart_by_another_label(tmp_path):
    rules = write_rules(tmp_path, values={"prometheusRule": {"clusterLabel": "k8s_cluster"}})
    series = {
        name.replace("cluster=", "k8s_cluster="): values
        for cluster, changes in (("sick", {"last_ack_timestamp_seconds": HELD}), ("well", {}))
        for name, values in of_cluster(cluster, changes)
    }
    alert = {
        "alertname": "EventrouterSidecarSilent",
        "severity": "critical",
        "k8s_cluster": "sick",
    }
    check_firing(rules, series, {TURN + 600: [alert]}, interval_seconds=STEP_SECONDS)


def test_without_a_label_each_alert_is_of_all_clusters(tmp_path):
    rules = write_rules(tmp_path, values={"prometheusRule": {"clusterLabel": ""}})
    check_rules(rules)
    alert = {"alertname": "EventrouterCheckpointFailing", "severity": "warning"}
    changes = {'checkpoint_writes_total{result="failed"}': RISING}
    check(rules, changes, {TURN + 900: [alert]})
