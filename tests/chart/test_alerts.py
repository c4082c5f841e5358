"""The alerts ask for metrics that there are, and each has its runbook."""

from __future__ import annotations

import re

import pytest

from eventrouter.ops.metrics import Metrics
from tests.chart.chart import ROOT, one, render

RUNBOOKS = ROOT / "docs" / "operations.md"
# Of Fluent Bit 5.1, by output.
FLUENT_BIT = {"fluentbit_output_retries_total", "fluentbit_output_dropped_records_total"}


def rules(case):
    return one(render(case), "PrometheusRule")["spec"]["groups"][0]["rules"]


def test_alerts_ask_for_metrics_that_there_are():
    ours = {sample.name for metric in Metrics().registry.collect() for sample in metric.samples}
    # A counter with labels has no sample before it counts.
    ours |= {f"{metric.name}_total" for metric in Metrics().registry.collect()}
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
        selectors = re.findall(r"_\w+(\{[^}]*\}|)", rule["expr"])
        assert selectors, rule["alert"]
        for selector in selectors:
            assert selector.startswith(f'{{namespace="logging",job="{job}"')


def test_alerts_can_be_left_out_and_labelled():
    names = {rule["alert"] for rule in rules("pod-monitor")}
    all_names = {rule["alert"] for rule in rules("service-monitor")}
    assert all_names - names == {"EventrouterCheckpointFailing"}
    assert {rule["labels"]["team"] for rule in rules("pod-monitor")} == {"platform"}


def test_every_alert_has_its_runbook():
    for rule in rules("service-monitor"):
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
    if not RUNBOOKS.exists():
        pytest.skip("docs/operations.md is not written yet")
    for rule in rules("service-monitor"):
        assert re.search(rf"^#+ {rule['alert']}$", RUNBOOKS.read_text(), re.MULTILINE)
