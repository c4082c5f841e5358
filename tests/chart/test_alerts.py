"""The alerts ask for metrics that there are, and each has its runbook."""

from __future__ import annotations

import re

import pytest

from eventrouter.ops.metrics import Metrics
from tests.chart.chart import ROOT, one, refusal, render

RUNBOOKS = ROOT / "docs" / "operations.md"
# Of Fluent Bit 5.1, by output.
FLUENT_BIT = {"fluentbit_output_retries_total", "fluentbit_output_dropped_records_total"}


def rules(case):
    return one(render(case), "PrometheusRule")["spec"]["groups"][0]["rules"]


def test_alerts_ask_for_metrics_that_there_are():
    metrics = Metrics()
    metrics.add_setup(list)
    ours = {sample.name for metric in metrics.registry.collect() for sample in metric.samples}
    # One with labels may have no sample at the start.
    ours |= {metric.name for metric in metrics.registry.collect()}
    for rule in rules("service-monitor"):
        asked = set(re.findall(r"\b(?:eventrouter|fluentbit)_\w+", rule["expr"]))
        assert asked, rule["alert"]
        assert asked <= ours | FLUENT_BIT, rule["alert"]


@pytest.mark.parametrize(
    ("case", "job"),
    [("service-monitor", "events-eventrouter"), ("pod-monitor", "logging/events-eventrouter")],
)
def test_alerts_are_of_this_release_alone(case, job):
    for rule in rules(case):
        selectors = re.findall(r"\b(?:eventrouter|fluentbit)_\w+(\{[^}]*\}|)", rule["expr"])
        assert selectors, rule["alert"]
        for selector in selectors:
            assert selector.startswith(f'{{namespace="logging",job="{job}"')


def test_alerts_can_be_left_out_and_labelled():
    names = {rule["alert"] for rule in rules("pod-monitor")}
    all_names = {rule["alert"] for rule in rules("service-monitor")}
    assert all_names - names == {"EventrouterCheckpointFailing"}
    assert {rule["labels"]["team"] for rule in rules("pod-monitor")} == {"platform"}


def test_an_alert_shows_its_runbook_where_it_has_an_address():
    for rule in rules("service-monitor"):
        assert set(rule["annotations"]) <= {"summary", "description"}
    for rule in rules("pod-monitor"):
        address = f"https://runbooks.example.com/eventrouter#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == address


def test_the_alert_of_the_setup_names_the_index_and_the_one_command():
    for case, workload in (("service-monitor", "deployment"), ("persistence", "statefulset")):
        (group, *_) = one(render(case, {"prometheusRule": {"enabled": True}}), "PrometheusRule")[
            "spec"
        ]["groups"]
        (rule,) = (each for each in group["rules"] if each["alert"] == "EventrouterIndexNotSetUp")
        assert "{{ $labels.index }}" in rule["annotations"]["summary"]
        command = f"kubectl rollout restart -n logging {workload}/events-eventrouter"
        assert rule["annotations"]["description"].endswith(f": {command}")


def test_the_address_of_the_runbooks_is_a_url():
    for wrong in ("docs/operations.md", "https://example.com/page#top"):
        assert "prometheusRule" in refusal({"prometheusRule": {"runbookUrl": wrong}})


def test_every_alert_has_a_runbook_that_ends_in_a_command():
    page = RUNBOOKS.read_text(encoding="utf-8")
    sections = re.findall(r"(?ms)^### (Eventrouter\w+)\n(.*?)(?=^#|\Z)", page)
    assert {name for name, _ in sections} == {rule["alert"] for rule in rules("service-monitor")}
    for name, text in sections:
        ending = re.search(r"(?ms)^```console\n(kubectl .*?)^```\s*\Z", text)
        assert ending, f"{name} does not end in a command"
