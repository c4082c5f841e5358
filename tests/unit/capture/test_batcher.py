"""From list items and watch lines to batches: what is shipped, as what, and how far it gets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.capture.batcher import Capture, watch_error
from eventrouter.capture.record import Shaper
from eventrouter.capture.states import OldStates
from eventrouter.errors import ApiError, BadLine, Expired
from eventrouter.forward.batch import MAX_BYTES, MAX_RECORDS, Batch, Position
from eventrouter.kube.schema import Event
from eventrouter.ops.metrics import Metrics
from tests.support.events import UID, make_event, read
from tests.support.strange import strange_events
from tests.support.values import nested, unpack

ROOMY = 1 << 20
BOOKMARK = (
    b'{"type":"BOOKMARK","object":'
    b'{"kind":"Event","apiVersion":"v1","metadata":{"resourceVersion":"40"}}}'
)
COMPACTED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},'
    b'"status":"Failure","message":"too old resource version: 1 (30)","reason":"Expired",'
    b'"code":410}}'
)
FAILED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},'
    b'"status":"Failure","message":"etcd is away","reason":"InternalError","code":500}}'
)
CUT_OFF = b'{"type":"ADDED","object":{"metadata":{"na'


def line(kind: str, version: int | str, *, uid: str = UID, **fields: Any) -> bytes:
    """A line of a watch, in the API server's own order of fields."""
    event = make_event({"uid": uid, "resourceVersion": str(version)}, **fields)
    return json.dumps({"type": kind, "object": event}, separators=(",", ":")).encode()


def listed_event(
    version: int | str,
    *,
    uid: str | None = None,
    metadata: dict[str, Any] | None = None,
    **fields: Any,
) -> Event:
    named = {"uid": f"uid-{version}" if uid is None else uid, "resourceVersion": str(version)}
    return read(make_event(named | (metadata or {}), without=("kind", "apiVersion"), **fields))


def new_capture(metrics: Metrics, *, cache: int = ROOMY) -> Capture:
    return Capture(shaper=Shaper(), states=OldStates(cache), metrics=metrics)


@pytest.fixture
def capture(metrics: Metrics) -> Capture:
    return new_capture(metrics)


def records(*batches: Batch) -> list[dict[str, Any]]:
    return [
        unpack(entry)[1]
        for batch in batches
        for entries in batch.entries.values()
        for entry in entries
    ]


def watched(capture: Capture, *lines: bytes, namespace: str = "") -> list[dict[str, Any]]:
    """The records of lines that end nothing."""
    batch, end = capture.watched(lines, namespace=namespace)
    assert end is None
    return records(batch)


def ids(shipped: Iterable[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in shipped]


def versions(shipped: Iterable[dict[str, Any]]) -> list[str]:
    return [record["event"]["metadata"]["resourceVersion"] for record in shipped]


def count_of(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"eventrouter_{name}_total", labels) or 0.0


# --- a watch


def test_lines_become_records_in_order_with_the_position_they_reach(capture: Capture) -> None:
    batch, end = capture.watched(
        [line("ADDED", 11, uid="a"), line("MODIFIED", 12, uid="b"), line("ADDED", 13, uid="c")],
        namespace="shop",
    )

    assert ids(records(batch)) == ["a-11", "b-12", "c-13"]
    assert [record["verb"] for record in records(batch)] == ["ADDED", "UPDATED", "ADDED"]
    assert batch.positions == {"shop": Position("13")}
    assert end is None


def test_an_update_carries_the_state_right_before_it(capture: Capture) -> None:
    first, second, third = watched(
        capture,
        line("ADDED", 11, count=1),
        line("MODIFIED", 12, count=2),
        line("MODIFIED", 13, count=3),
    )

    assert "old_event" not in first
    assert second["old_event"] == first["event"]
    assert third["old_event"] == second["event"]


def test_old_states_last_from_one_read_to_the_next(capture: Capture) -> None:
    watched(capture, line("ADDED", 11, count=1))
    (update,) = watched(capture, line("MODIFIED", 12, count=2))

    assert update["old_event"]["count"] == 1


def test_an_update_of_an_event_never_seen_carries_none(capture: Capture) -> None:
    (update,) = watched(capture, line("MODIFIED", 11))

    assert "old_event" not in update


def test_updates_of_events_without_a_uid_carry_none(capture: Capture) -> None:
    """Two events without a uid are not one event."""
    _, update = watched(capture, line("ADDED", 11, uid=""), line("MODIFIED", 12, uid=""))

    assert "old_event" not in update


def test_without_a_cache_updates_carry_none(metrics: Metrics) -> None:
    capture = new_capture(metrics, cache=0)

    _, update = watched(capture, line("ADDED", 11), line("MODIFIED", 12))

    assert not capture.keeps_states
    assert "old_event" not in update


def test_what_is_forgotten_is_no_old_state(capture: Capture) -> None:
    """After the history went back, what was seen may never have happened."""
    watched(capture, line("ADDED", 11))

    capture.forget()
    (update,) = watched(capture, line("MODIFIED", 9))

    assert capture.keeps_states
    assert "old_event" not in update


@pytest.mark.parametrize(
    ("lines", "position"),
    [
        ([line("ADDED", 11), line("DELETED", 12)], "12"),
        ([line("DELETED", 12), line("ADDED", 13)], "13"),
        ([line("DELETED", 12), line("DELETED", 13)], "13"),
        ([line("DELETED", 12), BOOKMARK], "40"),
        ([BOOKMARK], "40"),
        ([BOOKMARK, line("DELETED", 41)], "41"),
    ],
)
def test_deletions_and_bookmarks_move_the_position_and_are_not_shipped(
    capture: Capture, lines: list[bytes], position: str
) -> None:
    batch, end = capture.watched(lines, namespace="")

    expected = [item for item in lines if b'"ADDED"' in item]
    assert batch.records == len(expected)
    assert batch.positions == {"": Position(position)}
    assert end is None


def test_a_deletion_with_spaces_in_its_json_is_one_too(capture: Capture) -> None:
    batch, _ = capture.watched([line("DELETED", 12).replace(b":", b": ", 1)], namespace="")

    assert (batch.records, batch.positions) == (0, {"": Position("12")})


def test_a_deleted_events_own_text_is_not_taken_for_its_version(capture: Capture) -> None:
    """The quickest reading of a line, and anyone may write a message."""
    forged = '"resourceVersion":"999"'

    batch, _ = capture.watched(
        [line("DELETED", 12, message=forged, reason=f"\\{forged}")], namespace=""
    )

    assert batch.positions == {"": Position("12")}


@pytest.mark.parametrize(
    "deleted",
    [
        b'{"type":"DELETED","object":{"metadata":{"name":"a"}}}',
        b'{"type":"DELETED","object":{"metadata":{"resourceVersion":"x1"}}}',
        b'{"type":"DELETED","object":{"metadata":{"resourceVersion":""}}}',
        b'{"type":"DELETED","object":{"metadata":{"resourceVersion":"12',
        b'{"type":"DELETED"',
    ],
)
def test_a_deletion_that_names_no_version_moves_nothing(capture: Capture, deleted: bytes) -> None:
    alone, _ = capture.watched([deleted], namespace="")
    after, _ = capture.watched([line("ADDED", 11), deleted], namespace="")

    assert alone.is_empty
    assert after.positions == {"": Position("11")}


@pytest.mark.parametrize("version", ["", "abc", "-5", "1.5", "٣"])
def test_an_event_whose_version_is_no_number_is_shipped_and_moves_nothing(
    capture: Capture, version: str
) -> None:
    """A position is what a watch can go on from, and that would be none."""
    batch, end = capture.watched([line("ADDED", 11), line("ADDED", version)], namespace="")

    assert batch.records == 2
    assert batch.positions == {"": Position("11")}
    assert end is None


def test_nothing_read_moves_nothing(capture: Capture) -> None:
    batch, end = capture.watched([], namespace="")

    assert batch.is_empty
    assert end is None


@pytest.mark.parametrize("ending", [COMPACTED, FAILED, CUT_OFF])
def test_what_stands_before_the_end_of_a_watch_is_not_lost(capture: Capture, ending: bytes) -> None:
    """And what stands after it is not taken: it would move the position over what ended it."""
    batch, end = capture.watched(
        [line("ADDED", 11), line("DELETED", 12), ending, line("ADDED", 13)], namespace=""
    )

    assert versions(records(batch)) == ["11"]
    assert batch.positions == {"": Position("12")}
    assert end is not None


def test_a_compacted_position_ends_a_watch_as_expired(capture: Capture) -> None:
    _, end = capture.watched([COMPACTED], namespace="")

    assert isinstance(end, Expired)
    assert "too old resource version: 1 (30)" in str(end)


def test_a_failure_ends_a_watch_as_an_error_of_the_server(capture: Capture) -> None:
    _, end = capture.watched([FAILED], namespace="")

    assert isinstance(end, ApiError)
    assert not isinstance(end, Expired)
    assert (end.status, end.reason) == (500, "watch_error")
    assert "etcd is away" in str(end)


@pytest.mark.parametrize("code", [None, "410", [410], {}, 5.5, True, nested(1000)])
def test_a_status_with_a_code_of_any_shape_is_an_error_all_the_same(code: Any) -> None:
    error = watch_error({"code": code, "message": code})

    assert error.reason == "watch_error"
    assert "\n" not in str(error)


def test_a_bad_line_ends_the_watch(capture: Capture, metrics: Metrics) -> None:
    """Damage on the way is gone when the line comes again, so it is not given up yet."""
    batch, end = capture.watched([line("ADDED", 11), CUT_OFF], namespace="")

    assert isinstance(end, BadLine)
    assert batch.positions == {"": Position("11")}
    assert count_of(metrics, "events_discarded", reason="bad_line") == 0


def test_a_bad_line_that_comes_again_is_skipped_and_counted(
    capture: Capture, metrics: Metrics
) -> None:
    """Received and discarded both: the two sides of the sum that always holds."""
    batch, end = capture.watched(
        [line("ADDED", 11), CUT_OFF, line("ADDED", 13)], namespace="", skip_bad=True
    )

    assert versions(records(batch)) == ["11", "13"]
    assert batch.positions == {"": Position("13")}
    assert end is None
    assert count_of(metrics, "events_discarded", reason="bad_line") == 1
    assert count_of(metrics, "events_received", type="other") == 1


def test_a_bad_line_at_the_end_moves_nothing(capture: Capture) -> None:
    batch, _ = capture.watched([line("ADDED", 11), CUT_OFF], namespace="", skip_bad=True)

    assert batch.positions == {"": Position("11")}


def test_what_had_to_be_cut_is_counted_by_its_reason(capture: Capture, metrics: Metrics) -> None:
    watched(
        capture,
        line("ADDED", 11, message="\ud800"),
        line("ADDED", 12, extra=nested(40)),
        line("ADDED", 13, extra=nested(40)),
        line("ADDED", 14),
    )

    assert count_of(metrics, "events_truncated", reason="encoding") == 1
    assert count_of(metrics, "events_truncated", reason="depth") == 2
    assert metrics.total(metrics.truncated) == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ADDED", "MODIFIED", "MODIFIED", "DELETED", "BOOKMARK"]),
            st.sampled_from("abc"),
        ),
        max_size=25,
    ),
    st.data(),
)
def test_however_the_lines_arrive_the_records_and_the_last_position_are_the_same(
    story: list[tuple[str, str]], data: st.DataObject
) -> None:
    """And every old state is the one before it in the story, or was never told."""
    lines = [
        line(kind, version, uid=uid, count=version)
        for version, (kind, uid) in enumerate(story, start=1)
    ]
    cuts = data.draw(st.lists(st.integers(0, len(lines))))
    capture = new_capture(Metrics())

    shipped, position = [], None
    for start, end in pairwise([0, *sorted(cuts), len(lines)]):
        batch, _ = capture.watched(lines[start:end], namespace="")
        shipped += records(batch)
        position = batch.positions.get("", position)

    expected: list[tuple[str, int, int | None]] = []
    last: dict[str, int] = {}
    for version, (kind, uid) in enumerate(story, start=1):
        if kind == "ADDED":
            expected.append(("ADDED", version, None))
            last[uid] = version
        elif kind == "MODIFIED":
            expected.append(("UPDATED", version, last.get(uid)))
            last[uid] = version
    assert [
        (record["verb"], record["event"]["count"], record.get("old_event", {}).get("count"))
        for record in shipped
    ] == expected
    assert position == (Position(str(len(story))) if story else None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ADDED", "MODIFIED", "BOOKMARK"]), strange_events), max_size=4
    )
)
def test_no_object_stops_the_watch_or_is_left_out(
    story: list[tuple[str, dict[str, Any]]],
) -> None:
    lines = [json.dumps({"type": kind, "object": event}).encode() for kind, event in story]

    batch, end = new_capture(Metrics()).watched(lines, namespace="")

    assert end is None
    assert batch.records == sum(kind != "BOOKMARK" for kind, _ in story)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_json_does_not_have_is_shipped_as_null(
    capture: Capture, number: bytes
) -> None:
    """Fluent Bit would write it out as it is, and the sink's request would be no JSON any more."""
    (record,) = watched(
        capture, line("ADDED", 11, count="it", reason="Kept").replace(b'"it"', number)
    )

    assert record["event"]["count"] is None
    assert record["event"]["reason"] == "Kept"


# --- lists


def test_a_first_list_is_all_new_and_carries_no_old_state(capture: Capture) -> None:
    (batch,) = capture.listed([listed_event(11), listed_event(7, count=5)], newer_than=None)

    assert [record["verb"] for record in records(batch)] == ["ADDED", "ADDED"]
    assert versions(records(batch)) == ["11", "7"]


def test_a_list_moves_no_position(capture: Capture) -> None:
    """Its items come in the order of their names: only the end of the whole list completes it."""
    batches = list(capture.listed([listed_event(11), listed_event(12)], newer_than=None))

    assert [batch.positions for batch in batches] == [{}]


def test_a_list_gives_its_states_to_the_watch_that_follows(capture: Capture) -> None:
    list(capture.listed([listed_event(11, uid=UID, count=4)], newer_than=None))

    (update,) = watched(capture, line("MODIFIED", 12, count=5))

    assert update["old_event"]["count"] == 4


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"message": "x"}, id="records"),
        pytest.param({"message": "x" * 100_000}, id="bytes"),
    ],
)
def test_a_list_comes_in_full_batches_and_a_last_one(
    capture: Capture, event: dict[str, Any]
) -> None:
    items = [listed_event(version, **event) for version in range(1, MAX_RECORDS + 4)]

    batches = list(capture.listed(items, newer_than=None))

    assert sorted(versions(records(*batches)), key=int) == [
        str(version) for version in range(1, MAX_RECORDS + 4)
    ]
    assert all(batch.is_full for batch in batches[:-1])
    assert not batches[-1].is_full
    assert all(
        batch.records <= MAX_RECORDS and batch.size < MAX_BYTES + 110_000 for batch in batches
    )


def test_after_a_gap_only_what_is_newer_is_shipped(capture: Capture) -> None:
    """What is not newer than the position was shipped before."""
    (batch,) = capture.listed(
        [listed_event(version) for version in (21, 19, 20, 22)], newer_than=20
    )

    assert versions(records(batch)) == ["21", "22"]


def test_versions_are_compared_as_numbers(capture: Capture) -> None:
    (batch,) = capture.listed([listed_event(100), listed_event(9)], newer_than=20)

    assert versions(records(batch)) == ["100"]


@pytest.mark.parametrize("version", ["", "abc", "1" * 5000])
def test_after_a_gap_an_event_without_a_usable_version_is_shipped(
    capture: Capture, version: str
) -> None:
    """Once too often is harmless."""
    (batch,) = capture.listed([listed_event(version)], newer_than=20)

    assert batch.records == 1


def test_after_a_gap_an_event_seen_before_is_an_update(capture: Capture) -> None:
    capture.remember([[listed_event(18, uid="seen")]])

    (batch,) = capture.listed(
        [listed_event(21, uid="seen"), listed_event(22, uid="new")], newer_than=20
    )

    assert [record["verb"] for record in records(batch)] == ["UPDATED", "ADDED"]


@pytest.mark.parametrize(
    ("changes", "verb"),
    [
        ({}, "ADDED"),
        ({"count": 1}, "ADDED"),
        ({"count": 2}, "UPDATED"),
        ({"count": None}, "ADDED"),
        ({"count": True}, "ADDED"),
        ({"series": None}, "ADDED"),
        ({"series": {"count": 2}}, "UPDATED"),
        ({"metadata": {"managedFields": None}}, "ADDED"),
        ({"metadata": {"managedFields": [{"time": "2026-03-04T05:06:07Z"}]}}, "ADDED"),
        ({"metadata": {"managedFields": [{}, {"time": "2026-03-04T05:06:08Z"}]}}, "UPDATED"),
    ],
)
def test_after_a_gap_an_event_that_shows_an_update_is_one(
    capture: Capture, changes: dict[str, Any], verb: str
) -> None:
    (batch,) = capture.listed([listed_event(21, **changes)], newer_than=20)

    assert [record["verb"] for record in records(batch)] == [verb]


def test_a_list_after_a_gap_that_starts_again_says_the_same(capture: Capture) -> None:
    """The sink keeps what came first: a verb that changed with the repetition would be luck."""
    capture.remember([[listed_event(18, uid="seen")]])

    def list_again() -> list[str]:
        items = [listed_event(21, uid="seen"), listed_event(22, uid="new")]
        (batch,) = capture.listed(items, newer_than=20)
        return [record["verb"] for record in records(batch)]

    assert [list_again() for _ in range(3)] == [["UPDATED", "ADDED"]] * 3


def test_a_list_after_a_gap_that_starts_again_tells_what_changed_meanwhile(
    capture: Capture,
) -> None:
    list(capture.listed([listed_event(22, uid="new")], newer_than=20))

    (batch,) = capture.listed([listed_event(25, uid="new")], newer_than=20)

    assert [record["verb"] for record in records(batch)] == ["UPDATED"]


def test_what_a_gap_showed_first_has_been_seen_before_the_next_one(capture: Capture) -> None:
    list(capture.listed([listed_event(22, uid="new")], newer_than=20))
    capture.end_gap()

    (batch,) = capture.listed([listed_event(22, uid="new")], newer_than=21)

    assert [record["verb"] for record in records(batch)] == ["UPDATED"]


def test_after_a_gap_events_without_a_uid_are_not_taken_for_one(capture: Capture) -> None:
    (batch,) = capture.listed([listed_event(21, uid=""), listed_event(22, uid="")], newer_than=20)

    assert [record["verb"] for record in records(batch)] == ["ADDED", "ADDED"]


def test_states_are_learned_until_there_is_no_more_room_and_no_page_more_is_asked_for(
    metrics: Metrics,
) -> None:
    capture = new_capture(metrics, cache=4000)
    asked = []

    def pages() -> Iterator[list[Event]]:
        for number in count():
            asked.append(number)
            yield [listed_event(1 + item, uid=f"{number}-{item}") for item in range(3)]

    capture.remember(pages())

    assert 1 < len(asked) < 10


def test_a_state_that_is_not_learned_anew_is_not_known(capture: Capture) -> None:
    """It may be another one by now: an old state is never guessed."""
    capture.remember([[listed_event(18, uid="seen")]])
    capture.remember([[listed_event(19, uid="other")]])

    batch, _ = capture.watched([line("MODIFIED", 21, uid="seen")], namespace="")

    assert "old_event" not in records(batch)[0]


def test_after_a_gap_an_update_carries_no_old_state(capture: Capture) -> None:
    """The state right before it may be lost in the gap: an old state is never guessed."""
    capture.remember([[listed_event(18, uid="seen")]])

    (batch,) = capture.listed([listed_event(21, uid="seen")], newer_than=20)

    assert "old_event" not in records(batch)[0]


def test_after_a_gap_the_watch_knows_the_states_of_the_list(capture: Capture) -> None:
    """Of those too that were shipped before: the next update is of just that state."""
    list(
        capture.listed(
            [listed_event(19, uid="old", count=2), listed_event(21, uid="new", count=3)],
            newer_than=20,
        )
    )

    old, new = watched(
        capture, line("MODIFIED", 31, uid="old", count=9), line("MODIFIED", 32, uid="new", count=9)
    )

    assert (old["old_event"]["count"], new["old_event"]["count"]) == (2, 3)


def test_what_is_remembered_is_not_shipped_and_is_the_next_old_state(
    capture: Capture, metrics: Metrics
) -> None:
    capture.remember([[listed_event(11, uid=UID, count=4, message="\ud800")]])

    (update,) = watched(capture, line("MODIFIED", 12, count=5))

    assert update["old_event"]["count"] == 4
    assert metrics.total(metrics.truncated) == 0


@given(st.lists(strange_events, max_size=4), st.none() | st.integers(0, 10**6))
def test_no_object_stops_a_list(items: list[dict[str, Any]], newer_than: int | None) -> None:
    capture = new_capture(Metrics())

    batches = list(capture.listed(map(read, items), newer_than=newer_than))

    assert sum(batch.records for batch in batches) <= len(items)
    if newer_than is None:
        assert sum(batch.records for batch in batches) == len(items)


@pytest.mark.parametrize(
    "metadata",
    [
        {"managedFields": 5},
        {"managedFields": True},
        {"managedFields": [{"time": nested(1000)}]},
        {"creationTimestamp": nested(1000), "managedFields": [{"time": "2026"}]},
        {"uid": nested(1000)},
    ],
    ids=["number", "true", "deep time", "deep creation", "deep uid"],
)
def test_after_a_gap_odd_metadata_stops_nothing(capture: Capture, metadata: dict[str, Any]) -> None:
    (batch,) = capture.listed([listed_event(21, metadata=metadata)], newer_than=20)

    assert batch.records == 1
