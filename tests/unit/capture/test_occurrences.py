"""The tally of what happened: differences between states, in a bounded number of series."""

from __future__ import annotations

from typing import Any

import pytest

from eventrouter.capture.occurrences import MAX_DIFFERENCE, Labels, Occurrences, labels_of
from eventrouter.capture.occurrences import occurrences as occurrences_of
from eventrouter.capture.record import Shaper
from eventrouter.kube.schema import Event
from eventrouter.ops.metrics import Metrics
from tests.support.events import make_event, read


def state(**fields: Any) -> bytes:
    return Shaper().shape(read(make_event(**fields)), "ADDED", None).state


def event(**fields: Any) -> Event:
    return read(make_event(**fields))


def of(number: int, *, namespace: str = "shop", about: str = "") -> Event:
    """An event with a reason of its own, about a pod of its namespace or of another one."""
    involved = {"kind": "Pod", "namespace": about or namespace, "name": f"pod-{number}"}
    metadata = {"namespace": namespace}
    return event(reason=f"Reason{number}", involvedObject=involved, metadata=metadata)


def shown(tally: Occurrences) -> dict[Labels, int]:
    """The values at the second look: at the first one a new series is 0."""
    list(tally.show())
    return dict(tally.show())


# --- how many


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, {"count": 7}, 1),
        ({"count": 3}, {"count": 7}, 4),
        ({"count": 7}, {"count": 7}, 0),
        ({"count": 7}, {"count": 2}, 1),
        ({"without": ("count",)}, {"series": {"count": 2}}, 1),
        ({"series": {"count": 2}}, {"series": {"count": 40}}, 38),
        ({"count": 1}, {"count": 1, "series": {"count": 5}}, 4),
        ({"count": 1}, {"count": 2**63 - 1}, MAX_DIFFERENCE),
        ({"count": "many"}, {"count": 3}, 1),
        ({"series": "odd"}, {"count": 3}, 1),
        ({"count": None}, {"count": 3}, 2),
    ],
)
def test_a_state_counts_by_its_difference_to_the_one_before(
    before: dict[str, Any] | None, now: dict[str, Any], expected: int
) -> None:
    old_state = None if before is None else state(**before)

    assert occurrences_of(event(**now), old_state) == expected


def test_an_older_state_after_a_newer_one_adds_nothing() -> None:
    """A long list shows it after an upkeep has brought the newer one."""
    newer = state(metadata={"resourceVersion": "105"}, count=5)

    assert occurrences_of(event(metadata={"resourceVersion": "90"}, count=4), newer) == 0
    assert occurrences_of(event(metadata={"resourceVersion": "110"}, count=4), newer) == 1


def test_an_event_that_fits_no_types_is_counted_all_the_same() -> None:
    strange = event(type=7, reason=["x"], involvedObject="pod", count="3")

    assert labels_of(strange) == ("other", "", "", "")
    assert occurrences_of(strange, None) == 1


# --- series


def test_the_labels_name_no_object() -> None:
    assert labels_of(event()) == ("Warning", "Unhealthy", "Pod", "shop")


def test_an_event_about_a_node_has_no_namespace() -> None:
    node = event(involvedObject={"kind": "Node", "name": "worker-1"}, reason="NodeNotReady")

    assert labels_of(node) == ("Warning", "NodeNotReady", "Node", "")


def test_a_long_reason_is_cut() -> None:
    assert len(labels_of(event(reason="x" * 10_000)).reason) == 128


def test_a_new_series_is_0_when_it_is_first_shown() -> None:
    """increase() sees nothing of a series whose first sample is already a 1."""
    tally = Occurrences(max_series=100)
    tally.add(event(), None)
    labels = labels_of(event())

    first, second = dict(tally.show()), dict(tally.show())

    assert (first[labels], second[labels]) == (0, 1)


def test_series_beyond_the_bound_count_as_other() -> None:
    tally = Occurrences(max_series=10)
    for number in range(100):
        tally.add(of(number, namespace=f"ns-{number}"), None)

    values = shown(tally)

    assert len(tally) == len(values) == 10
    assert values["Warning", "other", "other", "other"] == 93  # type: ignore[index]
    assert sum(values.values()) == 100


def test_one_namespace_cannot_take_the_series_of_the_others() -> None:
    tally = Occurrences(max_series=40)
    for number in range(1000):
        tally.add(of(number), None)
    tally.add(of(5, namespace="bank"), None)

    values = shown(tally)

    assert values[Labels("Warning", "other", "other", "shop")] == 990
    assert values[Labels("Warning", "Reason5", "Pod", "bank")] == 1


def test_whoever_writes_about_other_namespaces_takes_no_series_of_theirs() -> None:
    """An API server does not compare the two if the event has an `eventTime`."""
    tally = Occurrences(max_series=40)
    for number in range(1000):
        tally.add(of(number, namespace="mallory", about=f"ns-{number}"), None)
    tally.add(of(5, namespace="bank"), None)

    values = shown(tally)

    assert {labels.namespace for labels in values} == {"mallory", "bank", "other"}
    assert values[Labels("Warning", "Reason5", "Pod", "bank")] == 1


def test_a_series_that_is_there_counts_on_when_no_more_fit() -> None:
    tally = Occurrences(max_series=10)
    tally.add(of(1), None)
    for number in range(100):
        tally.add(of(number, namespace=f"ns-{number}"), None)
    tally.add(of(1), None)

    assert shown(tally)[Labels("Warning", "Reason1", "Pod", "shop")] == 2


def test_100_000_reasons_leave_the_tally_bounded() -> None:
    tally = Occurrences(max_series=2000)
    for number in range(100_000):
        tally.add(of(number), None)

    assert len(tally) <= 2000
    assert len(tally._of_namespace) == 1
    assert sum(shown(tally).values()) == 100_000


# --- as a metric


def test_metrics_show_the_tally(metrics: Metrics) -> None:
    tally = Occurrences(max_series=10)
    metrics.add_occurrences(tally.show, lambda: len(tally), limit=tally.max_series)
    tally.add(event(), None)
    name = "eventrouter_kubernetes_events_total"
    labels = labels_of(event())._asdict()

    values = [metrics.registry.get_sample_value(name, labels) for _ in range(2)]

    assert values == [0, 1]
    assert metrics.registry.get_sample_value("eventrouter_kubernetes_events_series") == 4
    assert metrics.registry.get_sample_value("eventrouter_kubernetes_events_series_limit") == 10


def test_without_a_tally_there_is_no_such_metric(metrics: Metrics) -> None:
    names = {family.name for family in metrics.registry.collect()}

    assert not {name for name in names if "kubernetes_events" in name}
