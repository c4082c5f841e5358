"""The oracle itself: it must see each kind of fault, or the other tests prove nothing.

These need no real program, and run with the unit tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.ledger import Event, Ledger, as_core
from tests.e2e.oracle import Comparison, compare, event_time, expected_documents
from tests.programs import Document

CREATED = "2026-03-01T12:00:00Z"


def answer(name: str, revision: int, **fields: Any) -> Event:
    """What the API server might answer."""
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(revision),
            "creationTimestamp": CREATED,
            "labels": {"app.kubernetes.io/name": "web"},
            "managedFields": [{"manager": "m", "time": CREATED}],
        },
        "message": "m",
        "lastTimestamp": "2026-03-01T12:00:05Z",
        **fields,
    }


@pytest.fixture
def ledger() -> Ledger:
    """One event that stood there at revision 10 and was updated, and one that came later."""
    ledger = Ledger()
    ledger.record(answer("a", 10))
    ledger.record(answer("a", 20, count=2))
    ledger.record(answer("b", 21))
    return ledger


def documents(ledger: Ledger) -> list[Document]:
    """What a perfect pipeline would make of it, written down by hand."""
    labels = {"app_kubernetes_io/name": "web"}

    def event(name: str, revision: int, **fields: Any) -> Event:
        whole = answer(name, revision, **fields)
        metadata = {**whole["metadata"], "labels": labels}
        del metadata["managedFields"], whole["kind"], whole["apiVersion"]
        return {**whole, "metadata": metadata}

    def document(id_: str, **source: Any) -> Document:
        stamp = "2026-03-01T12:00:05.000Z"
        source = {"@timestamp": stamp, "id": id_, **source}
        return Document(id=id_, index="kube-events-2026.03.01", source=source)

    return [
        document("uid-a-10", verb="ADDED", event=event("a", 10)),
        document(
            "uid-a-20",
            verb="UPDATED",
            event=event("a", 20, count=2),
            old_event=event("a", 10),
        ),
        document("uid-b-21", verb="ADDED", event=event("b", 21)),
    ]


def judge(ledger: Ledger, found: list[Document]) -> Comparison:
    """The oracle's verdict on a watcher that listed at revision 10."""
    return compare(expected_documents(ledger, listed_at=10), found)


def test_a_perfect_pipeline_is_clean(ledger: Ledger) -> None:
    assert judge(ledger, documents(ledger)).is_clean


def test_a_missing_document_is_lost(ledger: Ledger) -> None:
    assert judge(ledger, documents(ledger)[:2]).lost == ["uid-b-21 (b)"]


def test_a_document_in_two_indices_is_there_twice(ledger: Ledger) -> None:
    first = documents(ledger)[0]
    again = Document(id=first.id, index="kube-events-2026.03.02", source=first.source)

    result = judge(ledger, [*documents(ledger), again])

    assert result.twice == ["uid-a-10 in kube-events-2026.03.01 and kube-events-2026.03.02"]


def test_a_state_that_nobody_wrote_is_unknown(ledger: Ledger) -> None:
    stray = Document(id="x-1", index="kube-events-2026.03.01", source={})

    assert judge(ledger, [*documents(ledger), stray]).unknown == ["x-1 in kube-events-2026.03.01"]


FAULTS: dict[str, tuple[Callable[[Event], Any], str]] = {
    "verb": (lambda source: source.update(verb="ADDED"), "verb is ADDED, not UPDATED"),
    "no old state": (lambda source: source.pop("old_event"), "old_event is None"),
    "old state's field": (
        lambda source: source["old_event"].update(message="x"),
        "old_event.message is 'x', not 'm'",
    ),
    "field gone": (lambda source: source["event"].pop("count"), "event.count is missing"),
    "field too many": (
        lambda source: source["event"]["metadata"].update(managedFields=[]),
        "event.metadata.managedFields should not be there",
    ),
    "another type": (lambda source: source["event"].update(count="2"), "event.count is '2', not 2"),
    "time": (
        lambda source: source.update({"@timestamp": "2026-03-01T12:00:05.001Z"}),
        "@timestamp is 2026-03-01T12:00:05.001Z",
    ),
    "id": (lambda source: source.pop("id"), "id is not the document's"),
    "extra": (lambda source: source.update(truncated="size"), "unexpected fields: truncated"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_wrong_field_is_named(ledger: Ledger, fault: tuple[Callable[[Event], Any], str]) -> None:
    spoil, complaint = fault
    found = documents(ledger)
    spoil(found[1].source)

    result = judge(ledger, found)

    assert len(result.wrong) == 1
    assert complaint in result.wrong[0]


def test_a_document_in_the_wrong_index_is_wrong(ledger: Ledger) -> None:
    first, *rest = documents(ledger)
    moved = Document(id=first.id, index="kube-events-1970.01.01", source=first.source)

    assert judge(ledger, [moved, *rest]).wrong == [
        "uid-a-10: it is in kube-events-1970.01.01, not in kube-events-2026.03.01"
    ]


def test_a_gap_excuses_only_what_was_overwritten_in_it() -> None:
    """Shipped up to 10, compacted at 30: 20 was overwritten by 25, which is still there."""
    ledger = Ledger()
    for revision in (10, 20, 25, 40):
        ledger.record(answer("a", revision))

    expected = expected_documents(ledger, listed_at=10, gaps={10: 30})

    required = {id_ for id_, want in expected.items() if want.is_required}
    assert required == {"uid-a-10", "uid-a-25", "uid-a-40"}
    # 40 came by the watch, after 25 had been listed: its old state is known for sure.
    assert None in expected["uid-a-25"].old_events
    assert None not in expected["uid-a-40"].old_events


def test_a_slow_list_excuses_what_was_overwritten_before_it_ended_and_nothing_since() -> None:
    """Listed from 30 on, until 45: by then 25 was overwritten by 40, which came by the watch."""
    ledger = Ledger()
    for name, revision in (("a", 10), ("a", 25), ("b", 26), ("a", 40), ("a", 50)):
        ledger.record(answer(name, revision))

    expected = expected_documents(ledger, listed_at=10, gaps={10: 30}, slow_lists={10: 45})

    required = {id_ for id_, want in expected.items() if want.is_required}
    assert required == {"uid-a-10", "uid-b-26", "uid-a-40", "uid-a-50"}


def test_an_update_that_changed_nothing_is_no_state() -> None:
    ledger = Ledger()
    first = ledger.record(answer("a", 10))

    assert ledger.record(answer("a", 10)) is first
    assert len(ledger.states) == 1


def test_the_newer_api_groups_form_is_translated() -> None:
    new = answer("a", 10, note="text", regarding={"kind": "Pod"}, reportingController="c")
    del new["message"], new["lastTimestamp"]
    new |= {"deprecatedSource": {}, "deprecatedFirstTimestamp": None, "eventTime": CREATED}

    event = as_core(new)

    assert event["message"] == "text"
    assert event["involvedObject"] == {"kind": "Pod"}
    assert event["reportingComponent"] == "c"
    assert event["source"] == {}
    assert event["lastTimestamp"] is None
    assert not {"note", "regarding", "kind", "apiVersion"} & event.keys()


@pytest.mark.parametrize(
    ("fields", "time"),
    [
        ({}, "2026-03-01T12:00:05Z"),
        ({"series": {"lastObservedTime": "2026-03-01T12:30:00.123456Z"}}, "12:30:00.123456"),
        ({"lastTimestamp": "2026-02-28T12:00:00Z"}, "2026-02-28T12:00:00"),
        ({"lastTimestamp": "2026-02-28T11:59:59Z"}, CREATED),
        ({"lastTimestamp": "2026-03-02T12:00:00Z"}, "2026-03-02T12:00:00"),
        ({"lastTimestamp": "2026-03-02T12:00:01Z"}, CREATED),
        ({"lastTimestamp": None, "eventTime": "2026-03-01T11:00:00.5Z"}, "11:00:00.5"),
        ({"lastTimestamp": None, "firstTimestamp": "2026-03-01T10:00:00Z"}, "10:00:00"),
    ],
)
def test_the_time_is_the_first_believable_one(fields: Event, time: str) -> None:
    found = event_time(answer("a", 10, **fields)).isoformat()

    assert time.removesuffix("Z") in found
