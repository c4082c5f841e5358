"""The dashboard of the pair's health asks for metrics that the watcher has, as it has them."""

from __future__ import annotations

import json
import re

import pytest

from dashboards import files
from eventrouter.capture.occurrences import Labels
from eventrouter.ops.metrics import Metrics
from tests.dashboards.promql import expressions, names

HEALTH = json.loads((files.FOLDER / "grafana" / "eventrouter.json").read_text())
ASKED = expressions(HEALTH, interval="1m")
# Of Prometheus' client, where the system has /proc.
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def our_samples() -> dict[str, set[str]]:
    """Our metrics by name, with their labels: also of what is off by default."""
    metrics = Metrics()
    series = Labels("Warning", "BackOff", "Pod", "shop")
    metrics.add_occurrences(lambda: [(series, 1)], lambda: 1, limit=1)
    metrics.add_enrichment(lambda: 0)
    metrics.add_setup(lambda: [(("elasticsearch", "kube-events-*"), 0)])
    return {
        sample.name: set(sample.labels)
        for metric in metrics.registry.collect()
        for sample in metric.samples
    }


@pytest.mark.parametrize(("title", "expression"), ASKED)
def test_every_metric_of_the_watcher_exists(title: str, expression: str) -> None:
    asked = names(expression)
    ours = {name for name in asked if name.startswith("eventrouter_")} - {
        # It has a child for each namespace that is followed.
        "eventrouter_events_contact_timestamp_seconds"
    }

    assert asked, title
    assert ours <= our_samples().keys()
    assert {name for name in asked if name.startswith("process_")} <= PROCESS


@pytest.mark.parametrize(("title", "expression"), ASKED)
def test_every_label_that_is_summed_by_exists(title: str, expression: str) -> None:
    known = our_samples()
    for labels, name in re.findall(
        r"by \(([\w, ]+)\) \(+(?:\w+\()?(eventrouter_\w+)\{", expression
    ):
        if name in known:
            summed = {label.strip().removeprefix("exported_") for label in labels.split(",")}
            assert summed <= known[name] | {"pod"}, title  # Prometheus adds it


@pytest.mark.parametrize(("title", "expression"), ASKED)
def test_no_expression_takes_the_pods_namespace_for_that_of_the_events(
    title: str, expression: str
) -> None:
    """Prometheus keeps `namespace` for the pod; that of a metric becomes `exported_namespace`."""
    for labels in re.findall(r"by \(([\w, ]+)\)", expression):
        assert "namespace" not in labels.split(", "), title


def test_what_is_off_by_default_is_closed_and_says_what_it_needs() -> None:
    """A collapsed section asks nothing."""
    options = ("--count-events", "--enrich")
    closed = [section for section in HEALTH["panels"] if section.get("panels")]

    assert len(closed) == len(options)
    for section, option in zip(closed, options, strict=True):
        assert section["collapsed"]
        assert f"(needs {option})" in section["title"]
        for panel in section["panels"]:
            assert f"Empty without {option}." in panel["description"], panel["title"]
    text = json.dumps([panel for panel in HEALTH["panels"] if panel not in closed])
    assert "kubernetes_events" not in text
    assert "enrich" not in text


def test_every_counter_of_what_goes_wrong_is_shown() -> None:
    """A counter that nobody looks at counts for nobody."""
    shown = {name for _, expression in ASKED for name in names(expression)}
    counters = {name for name in our_samples() if name.endswith("_total")}

    assert {name for name in counters if name.startswith("eventrouter_")} - shown == {
        "eventrouter_events_sent_total",  # acked and in flight say as much
        "eventrouter_events_delivered_total",  # each output's own count says more
    }
