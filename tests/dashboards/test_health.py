"""The dashboard of the pair's health asks for metrics that the watcher has, as it has them."""

from __future__ import annotations

import json
import re

import pytest

from dashboards import files
from eventrouter.ops.metrics import Metrics
from tests.dashboards.promql import expressions, names

HEALTH = json.loads((files.FOLDER / "grafana" / "eventrouter.json").read_text())
ASKED = expressions(HEALTH, interval="1m")
# Of Prometheus' client, where the system has /proc.
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def our_samples() -> dict[str, set[str]]:
    """Our metrics by name, with their labels."""
    return {
        sample.name: set(sample.labels)
        for metric in Metrics().registry.collect()
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
            assert {label.strip() for label in labels.split(",")} <= known[name], title


def test_every_counter_of_what_goes_wrong_is_shown() -> None:
    """A counter that nobody looks at counts for nobody."""
    shown = {name for _, expression in ASKED for name in names(expression)}
    counters = {name for name in our_samples() if name.endswith("_total")}

    assert {name for name in counters if name.startswith("eventrouter_")} - shown == {
        "eventrouter_events_sent_total",  # acked and in flight say as much
        "eventrouter_events_delivered_total",  # each output's own count says more
    }
