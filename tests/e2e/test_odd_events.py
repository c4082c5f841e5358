"""Events that nobody should write and everybody may: odd times, huge texts, odd types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.ledger import Event
from tests.e2e.oracle import expected_documents, parse_time
from tests.e2e.pipeline import INDICES, Pipeline
from tests.programs import Document

pytestmark = pytest.mark.e2e

YEAR_1, YEAR_2999 = "0001-01-01T00:00:01Z", "2999-12-31T23:59:59Z"
HUGE = 1_400_000
# What an event with an eventTime must have, through either group.
NEW_STYLE = {"reportingComponent": "example.com/e2e", "reportingInstance": "1", "action": "Test"}


def core(name: str, **fields: Any) -> Event:
    """A minimal core/v1 event with these fields."""
    return {
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
        "reason": "Odd",
        "message": name,
        "type": "Normal",
        "source": {"component": "e2e"},
        **fields,
    }


def check(pipeline: Pipeline, *, listed_at: int) -> dict[str, Document]:
    """All is as the oracle says; the documents by id."""
    pipeline.ledger.check_against(pipeline.apiserver.client)
    expected = expected_documents(pipeline.ledger, listed_at=listed_at)
    result = pipeline.arrived(expected, timeout=60)
    assert result.is_clean, result
    return {document.id: document for document in pipeline.elasticsearch.documents(INDICES)}


def test_an_unbelievable_time_does_not_choose_the_index(pipeline: Pipeline) -> None:
    """Year 1, year 2999 and no time at all: each in the index of the day it was created.

    The oracle knows the whole rule, and judges the rest: times of yesterday and tomorrow.
    """
    now = datetime.now(UTC)
    micro, seconds = "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"
    odd = [
        {"lastTimestamp": time, "firstTimestamp": time} for time in (YEAR_1, YEAR_2999, None)
    ] + [{"eventTime": time.replace("Z", ".000001Z"), **NEW_STYLE} for time in (YEAR_1, YEAR_2999)]
    old_and_new = [
        {"lastTimestamp": (now + timedelta(hours=hours)).strftime(seconds)}
        for hours in (-26, -25, -23, -2, 2, 23, 25, 26)
    ]
    # An odd first choice, and something believable after it.
    fallbacks: list[Event] = [
        {
            "lastTimestamp": YEAR_2999,
            "firstTimestamp": (now - timedelta(hours=2)).strftime(seconds),
        },
        {"lastTimestamp": YEAR_1, "eventTime": (now - timedelta(hours=3)).strftime(micro)},
        {
            "series": {"count": 2, "lastObservedTime": "2999-01-01T00:00:00.000000Z"},
            "eventTime": (now - timedelta(hours=4)).strftime(micro),
        },
    ]
    for event in fallbacks:
        event |= NEW_STYLE
    pipeline.load.create(core("listed-year-1", lastTimestamp=YEAR_1))
    pipeline.load.create(core("listed-year-2999", lastTimestamp=YEAR_2999))
    listed_at = pipeline.apiserver.client.newest_revision()
    pipeline.watcher.start()

    created = [
        pipeline.load.create(core(f"odd-{number}", **fields)) for number, fields in enumerate(odd)
    ]
    for number, fields in enumerate([*old_and_new, *fallbacks]):
        pipeline.load.create(core(f"near-{number}", **fields))
    for event in created:
        pipeline.load.patch(event, {"count": 2, "lastTimestamp": YEAR_2999})

    documents = check(pipeline, listed_at=listed_at)
    for state in pipeline.ledger.states:
        name = state.event["metadata"]["name"]
        if name.startswith(("odd", "listed")):
            day = parse_time(state.event["metadata"]["creationTimestamp"])
            assert documents[state.id].index == f"kube-events-{day:%Y.%m.%d}", name


def test_a_huge_event_and_its_old_state_arrive_whole(pipeline: Pipeline) -> None:
    """1.4 MB is what etcd takes; the update's record has that twice. Listed, and watched."""
    pipeline.load.create(core("huge-listed", message="a" * HUGE))
    listed_at = pipeline.apiserver.client.newest_revision()
    pipeline.watcher.start()
    event = pipeline.load.create(core("huge", message="b" * HUGE))
    event = pipeline.load.patch(event, {"message": "c" * HUGE, "count": 2})
    event = pipeline.load.patch(event, {"message": "small again", "count": 3})
    # Of three bytes, and of characters that JSON escapes: other sizes on each leg of the way.
    pipeline.load.create(core("huge-unicode", message="日" * (HUGE // 3)))
    pipeline.load.create(core("huge-escapes", message='"\n' * (HUGE // 4)))
    pipeline.load.create(core("after", message="nothing is held up"))

    documents = check(pipeline, listed_at=listed_at)
    largest = max(
        (document.source for document in documents.values()),
        key=lambda source: (
            len(source["event"]["message"]) + len(source.get("old_event", {}).get("message", ""))
        ),
    )
    assert largest["event"]["message"] == "c" * HUGE
    assert largest["old_event"]["message"] == "b" * HUGE


def test_odd_texts_types_and_names_arrive_as_they_are(pipeline: Pipeline) -> None:
    """Types that no tag was made for, empty fields, every kind of character, keys with dots."""
    listed_at = pipeline.apiserver.client.newest_revision()
    pipeline.watcher.start()
    for number, type_ in enumerate(("Error", "", "normal", "Wärning\n", "Normal.*")):
        pipeline.load.create(core(f"type-{number}", type=type_))
    for number, text in enumerate(
        (
            "\0 and \x7f",
            "\ud800 alone",
            "\u2028\u2029",
            "\U0001d518\U0001f600",
            "\r\n\t",
            "%s {0} ${HOME}",
            "\\u0041",
        )
    ):
        pipeline.load.create(core(f"text-{number}", message=text, reason=text))
    labelled = core("labelled")
    labelled["metadata"] |= {
        "labels": {"app": "x", "app.kubernetes.io/name": "y", "a.b.c.d": ""},
        "annotations": {"example.com/json": '{"a.b": [1, 2, {"c": null}]}', "x": "1"},
    }
    pipeline.load.create(labelled)
    pipeline.load.create(core("count", count=2**31 - 1))
    pipeline.load.create({**core("bare"), "reason": "", "message": "", "source": {}})

    check(pipeline, listed_at=listed_at)


def test_a_deleted_event_is_not_shipped_again_and_its_name_is_free(pipeline: Pipeline) -> None:
    """Deletions ship nothing; a new event of the same name is a first sighting, without a past."""
    listed_at = pipeline.apiserver.client.newest_revision()
    pipeline.watcher.start()
    for _ in range(3):
        event = pipeline.load.create(core("phoenix"))
        pipeline.load.patch(event, {"count": 2})
        pipeline.load.delete(event)

    documents = check(pipeline, listed_at=listed_at)
    names = [document.source["event"]["metadata"]["name"] for document in documents.values()]
    assert names.count("phoenix") == 6
