"""Metrics: names are an interface, and the sums add up."""

from __future__ import annotations

import math
import re

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from eventrouter import __version__
from eventrouter.ops.metrics import Metrics

# What dashboards and alerts ask for, and by which labels.
NAMES = {
    "eventrouter_events_received_total": {"type"},
    "eventrouter_events_sent_total": {"type"},
    "eventrouter_events_acked_total": {"type"},
    "eventrouter_events_delivered_total": set(),
    "eventrouter_events_discarded_total": {"reason"},
    "eventrouter_events_truncated_total": {"reason"},
    "eventrouter_list_total": {"result"},
    "eventrouter_watch_total": {"result"},
    "eventrouter_relist_total": {"reason"},
    "eventrouter_chunks_sent_total": set(),
    "eventrouter_chunks_acked_total": set(),
    "eventrouter_forward_connects_total": {"result"},
    "eventrouter_checkpoint_writes_total": {"result"},
    "eventrouter_errors_total": {"stage", "error_type"},
    "eventrouter_api_contact_timestamp_seconds": set(),
    "eventrouter_lease_contact_timestamp_seconds": set(),
    "eventrouter_buffer_chunks": {"outputs"},
    "eventrouter_buffer_oldest_chunk_timestamp_seconds": {"outputs"},
    "eventrouter_position": {"namespace", "reached"},
    "eventrouter_last_ack_timestamp_seconds": set(),
    "eventrouter_last_delivered_timestamp_seconds": set(),
    "eventrouter_queue_events": set(),
    "eventrouter_queue_bytes": set(),
    "eventrouter_events_in_flight": set(),
    "eventrouter_build_info": {"version"},
}


def test_the_names_that_dashboards_and_alerts_use_are_there(metrics: Metrics) -> None:
    """Each counter used once, as one without a label's value has no sample yet."""
    for counter, values in (
        (metrics.received, ["normal"]),
        (metrics.sent, ["normal"]),
        (metrics.acked, ["normal"]),
        (metrics.discarded, ["bad_line"]),
        (metrics.truncated, ["size"]),
        (metrics.lists, ["ok"]),
        (metrics.watches, ["closed"]),
        (metrics.relists, ["start"]),
        (metrics.connects, ["ok"]),
        (metrics.checkpoints, ["ok"]),
        (metrics.errors, ["sending", "io"]),
    ):
        counter.labels(*values).inc()
    metrics.show_positions(acked={"": "7"})

    samples = {
        sample.name: set(sample.labels)
        for family in metrics.registry.collect()
        for sample in family.samples
    }

    assert {name: samples.get(name) for name in NAMES} == NAMES


def test_every_value_of_a_label_is_there_from_the_start(metrics: Metrics) -> None:
    """increase() sees nothing of a series whose first sample is already a 1."""
    values = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        if family.name == "eventrouter_events_discarded"
        for sample in family.samples
        if sample.name.endswith("_total")
    }

    assert values == {("bad_line",): 0, ("leadership_lost",): 0}
    for family in metrics.registry.collect():
        if family.name.startswith("eventrouter_") and family.type == "counter":
            assert family.samples, family.name


def test_what_waits_in_a_buffer_that_nobody_has_seen_is_not_nothing(metrics: Metrics) -> None:
    for name in ("chunks", "oldest_chunk_timestamp_seconds"):
        for outputs in ("required", "optional"):
            value = metrics.registry.get_sample_value(
                f"eventrouter_buffer_{name}", {"outputs": outputs}
            )
            assert math.isnan(value or 0)


def test_every_metric_says_what_it_is(metrics: Metrics) -> None:
    families = [
        family for family in metrics.registry.collect() if family.name.startswith("eventrouter_")
    ]

    assert len(families) >= len(NAMES)
    for family in families:
        assert re.fullmatch(r"[A-Z0-9].*\.", family.documentation), family.name


def test_the_text_is_what_prometheus_reads(metrics: Metrics) -> None:
    metrics.errors.labels("sending", 'a "quoted"\nreason').inc()

    text = openmetrics.generate_latest(metrics.registry).decode()

    assert text.endswith("# EOF\n")
    assert {family.name for family in text_string_to_metric_families(text)} > {
        "eventrouter_errors",
        "process_open_fds",
        "python_info",
    }


def test_the_version_that_runs_can_be_seen(metrics: Metrics) -> None:
    assert (
        metrics.registry.get_sample_value("eventrouter_build_info", {"version": __version__}) == 1
    )


def test_two_of_them_share_nothing(metrics: Metrics) -> None:
    """Nor with the library's global registry: tests and the demo run several in one process."""
    other = Metrics()

    metrics.received.labels("normal").inc()

    assert other.total(other.received) == 0
    assert not [name for name in REGISTRY._names_to_collectors if name.startswith("eventrouter")]


def test_a_total_is_the_sum_over_all_labels(metrics: Metrics) -> None:
    assert metrics.total(metrics.received) == 0

    metrics.received.labels("normal").inc(3)
    metrics.received.labels("warning").inc(4)
    metrics.sent.labels("normal").inc(100)
    metrics.chunks_sent.inc(5)

    assert metrics.total(metrics.received) == 7
    assert metrics.total(metrics.chunks_sent) == 5


def test_what_is_sent_is_acked_abandoned_or_in_flight(metrics: Metrics) -> None:
    def exposed() -> float | None:
        return metrics.registry.get_sample_value("eventrouter_events_in_flight")

    assert exposed() == 0
    metrics.sent.labels("normal").inc(10)
    metrics.sent.labels("warning").inc(5)
    metrics.acked.labels("warning").inc(4)
    metrics.abandoned.labels("normal").inc(2)

    assert metrics.in_flight() == exposed() == 9


def test_delivered_never_goes_back(metrics: Metrics) -> None:
    for acked in (5, 3, 9):
        metrics.show_delivered(acked)

    assert metrics.total(metrics.delivered) == 9


def test_a_position_that_is_no_more_is_not_shown(metrics: Metrics) -> None:
    def shown() -> dict[tuple[str, str], float]:
        (family,) = metrics.position.collect()
        return {
            (sample.labels["namespace"], sample.labels["reached"]): sample.value
            for sample in family.samples
        }

    metrics.show_positions(acked={"a": "7", "b": "8"}, delivered={"a": "6"})
    assert shown() == {("a", "acked"): 7, ("b", "acked"): 8, ("a", "delivered"): 6}
    metrics.show_positions(acked={"b": "9"}, delivered={})
    assert shown() == {("b", "acked"): 9}
    metrics.show_positions()
    assert shown() == {}


@pytest.mark.parametrize("name", ["queue_events", "queue_bytes"])
def test_a_gauge_that_watches_is_read_when_it_is_asked_for(metrics: Metrics, name: str) -> None:
    values = iter([3.0, 8.0])
    getattr(metrics, name).set_function(lambda: next(values))

    read = [metrics.registry.get_sample_value(f"eventrouter_{name}") for _ in range(2)]

    assert read == [3.0, 8.0]
