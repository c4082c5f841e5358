"""From list items and watch lines to batches: what is shipped, as what, and how far it gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.capture.batcher import Batcher
from eventrouter.capture.record import Shaper
from eventrouter.capture.states import OldStates
from eventrouter.errors import ApiError, BadLine, ResourceExpired
from eventrouter.forward.batch import MAX_BYTES, MAX_RECORDS, Batch
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
    b'"status":"Failure","message":"too old resource version: 1 (30)","reason":"ResourceExpired",'
    b'"code":410}}'
)
FAILED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},'
    b'"status":"Failure","message":"etcd is away","reason":"InternalError","code":500}}'
)
CUT_OFF = b'{"type":"ADDED","object":{"metadata":{"na'


def line(type_: str, version: int | str, *, uid: str = UID, **fields: Any) -> bytes:
    """A line of a watch, in the API server's own order of fields."""
    event = make_event({"uid": uid, "resourceVersion": str(version)}, **fields)
    return json.dumps({"type": type_, "object": event}, separators=(",", ":")).encode()


def listed_event(
    version: int | str,
    *,
    uid: str | None = None,
    metadata: dict[str, Any] | None = None,
    **fields: Any,
) -> Event:
    named = {"uid": f"uid-{version}" if uid is None else uid, "resourceVersion": str(version)}
    return read(make_event(named | (metadata or {}), without=("kind", "apiVersion"), **fields))


def new_batcher(metrics: Metrics, *, cache: int = ROOMY) -> Batcher:
    return Batcher(shaper=Shaper(), states=OldStates(cache), metrics=metrics)


@pytest.fixture
def batcher(metrics: Metrics) -> Batcher:
    return new_batcher(metrics)


def remember(batcher: Batcher, *events: Event) -> None:
    """Have the states of events known, as by a list of what was sent before."""
    batcher.begin_list()
    assert not records(*batcher.from_list(events, newer_than=sys.maxsize))
    batcher.end_list()


def after_gap(batcher: Batcher, *events: Event, since: int = 20) -> list[dict[str, Any]]:
    """What goes out of a list after a gap, which is not completed."""
    batcher.begin_list()
    return records(*batcher.from_list(events, newer_than=since))


def records(*batches: Batch) -> list[dict[str, Any]]:
    return [
        unpack(entry)[1]
        for batch in batches
        for entries in batch.entries.values()
        for entry in entries
    ]


def watched(batcher: Batcher, *lines: bytes) -> list[dict[str, Any]]:
    """The records of lines that end nothing."""
    batch, _, end = batcher.from_watch(lines)
    assert end is None
    return records(batch)


def ids(shipped: Iterable[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in shipped]


def versions(shipped: Iterable[dict[str, Any]]) -> list[str]:
    return [record["event"]["metadata"]["resourceVersion"] for record in shipped]


def count_of(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"eventrouter_{name}_total", labels) or 0.0


# --- a watch


def test_lines_become_records_in_order_with_the_position_they_reach(batcher: Batcher) -> None:
    batch, reached, end = batcher.from_watch(
        [line("ADDED", 11, uid="a"), line("MODIFIED", 12, uid="b"), line("ADDED", 13, uid="c")],
    )

    assert ids(records(batch)) == ["a-11", "b-12", "c-13"]
    assert [record["verb"] for record in records(batch)] == ["ADDED", "UPDATED", "ADDED"]
    assert reached == "13"
    assert end is None


def test_an_update_carries_the_state_right_before_it(batcher: Batcher) -> None:
    first, second, third = watched(
        batcher,
        line("ADDED", 11, count=1),
        line("MODIFIED", 12, count=2),
        line("MODIFIED", 13, count=3),
    )

    assert "old_event" not in first
    assert second["old_event"] == first["event"]
    assert third["old_event"] == second["event"]


def test_old_states_last_from_one_read_to_the_next(batcher: Batcher) -> None:
    watched(batcher, line("ADDED", 11, count=1))
    (update,) = watched(batcher, line("MODIFIED", 12, count=2))

    assert update["old_event"]["count"] == 1


def test_an_update_of_an_event_never_seen_carries_none(batcher: Batcher) -> None:
    (update,) = watched(batcher, line("MODIFIED", 11))

    assert "old_event" not in update


def test_updates_of_events_without_a_uid_carry_none(batcher: Batcher) -> None:
    """Two events without a uid are not one event."""
    _, update = watched(batcher, line("ADDED", 11, uid=""), line("MODIFIED", 12, uid=""))

    assert "old_event" not in update


def test_without_a_cache_updates_carry_none(metrics: Metrics) -> None:
    batcher = new_batcher(metrics, cache=0)

    _, update = watched(batcher, line("ADDED", 11), line("MODIFIED", 12))

    assert not batcher.keeps_states
    assert "old_event" not in update


def test_what_is_forgotten_is_no_old_state(batcher: Batcher) -> None:
    """After the history went back, what was seen may never have happened."""
    watched(batcher, line("ADDED", 11))

    batcher.forget()
    (update,) = watched(batcher, line("MODIFIED", 9))

    assert batcher.keeps_states
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
    batcher: Batcher, lines: list[bytes], position: str
) -> None:
    batch, reached, end = batcher.from_watch(lines)

    expected = [item for item in lines if b'"ADDED"' in item]
    assert batch.records == len(expected)
    assert reached == position
    assert end is None


def test_a_deletion_with_spaces_in_its_json_is_one_too(batcher: Batcher) -> None:
    batch, reached, _ = batcher.from_watch([line("DELETED", 12).replace(b":", b": ", 1)])

    assert (batch.records, reached) == (0, "12")


def test_a_deleted_events_own_text_is_not_taken_for_its_version(batcher: Batcher) -> None:
    """The quickest reading of a line, and anyone may write a message."""
    forged = '"resourceVersion":"999"'

    deleted = line("DELETED", 12, message=forged, reason=f"\\{forged}")
    reached = batcher.from_watch([deleted]).reached

    assert reached == "12"


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
def test_a_deletion_that_names_no_version_moves_nothing(batcher: Batcher, deleted: bytes) -> None:
    alone = batcher.from_watch([deleted])
    after = batcher.from_watch([line("ADDED", 11), deleted])

    assert (alone.batch.records, alone.reached) == (0, "")
    assert after.reached == "11"


@pytest.mark.parametrize("version", ["", "abc", "-5", "1.5", "٣"])
def test_an_event_whose_version_is_no_number_is_shipped_and_moves_nothing(
    batcher: Batcher, version: str
) -> None:
    """A position is what a watch can go on from, and that would be none."""
    batch, reached, end = batcher.from_watch([line("ADDED", 11), line("ADDED", version)])

    assert batch.records == 2
    assert reached == "11"
    assert end is None


def test_nothing_read_moves_nothing(batcher: Batcher) -> None:
    batch, reached, end = batcher.from_watch([])

    assert (batch.records, reached, end) == (0, "", None)


@pytest.mark.parametrize("ending", [COMPACTED, FAILED, CUT_OFF])
def test_what_stands_before_the_end_of_a_watch_is_not_lost(batcher: Batcher, ending: bytes) -> None:
    """And what stands after it is not taken: it would move the position over what ended it."""
    batch, reached, end = batcher.from_watch(
        [line("ADDED", 11), line("DELETED", 12), ending, line("ADDED", 13)]
    )

    assert versions(records(batch)) == ["11"]
    assert reached == "12"
    assert end is not None


def test_a_compacted_position_ends_a_watch_as_expired(batcher: Batcher) -> None:
    end = batcher.from_watch([COMPACTED]).end

    assert isinstance(end, ResourceExpired)
    assert "too old resource version: 1 (30)" in str(end)


def test_a_failure_ends_a_watch_as_an_error_of_the_server(batcher: Batcher) -> None:
    end = batcher.from_watch([FAILED]).end

    assert isinstance(end, ApiError)
    assert not isinstance(end, ResourceExpired)
    assert (end.status, end.reason) == (500, "watch_error")
    assert "etcd is away" in str(end)


def test_a_bad_line_ends_the_watch(batcher: Batcher, metrics: Metrics) -> None:
    """Damage on the way is gone when the line comes again, so it is not given up yet."""
    _, reached, end = batcher.from_watch([line("ADDED", 11), CUT_OFF])

    assert isinstance(end, BadLine)
    assert reached == "11"
    assert count_of(metrics, "events_discarded", reason="bad_line") == 0


def test_a_bad_line_that_comes_again_is_skipped_and_counted(
    batcher: Batcher, metrics: Metrics
) -> None:
    """Received and discarded both: the two sides of the sum that always holds."""
    batch, reached, end = batcher.from_watch(
        [line("ADDED", 11), CUT_OFF, line("ADDED", 13)], skip_bad=True
    )

    assert versions(records(batch)) == ["11", "13"]
    assert reached == "13"
    assert end is None
    assert count_of(metrics, "events_discarded", reason="bad_line") == 1
    assert count_of(metrics, "events_received", type="other") == 1


def test_a_bad_line_at_the_end_moves_nothing(batcher: Batcher) -> None:
    reached = batcher.from_watch([line("ADDED", 11), CUT_OFF], skip_bad=True).reached

    assert reached == "11"


def test_what_had_to_be_cut_is_counted_by_its_reason(batcher: Batcher, metrics: Metrics) -> None:
    watched(
        batcher,
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
    batcher = new_batcher(Metrics())

    shipped, position = [], ""
    for start, end in pairwise([0, *sorted(cuts), len(lines)]):
        batch, reached, _ = batcher.from_watch(lines[start:end])
        shipped += records(batch)
        position = reached or position

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
    assert position == (str(len(story)) if story else "")


@given(
    st.lists(
        st.tuples(st.sampled_from(["ADDED", "MODIFIED", "BOOKMARK"]), strange_events), max_size=4
    )
)
def test_no_object_stops_the_watch_or_is_left_out(
    story: list[tuple[str, dict[str, Any]]],
) -> None:
    lines = [json.dumps({"type": kind, "object": event}).encode() for kind, event in story]

    batch, _, end = new_batcher(Metrics()).from_watch(lines)

    assert end is None
    assert batch.records == sum(kind != "BOOKMARK" for kind, _ in story)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_json_does_not_have_is_shipped_as_null(
    batcher: Batcher, number: bytes
) -> None:
    """Fluent Bit would write it out as it is, and the sink's request would be no JSON any more."""
    (record,) = watched(
        batcher, line("ADDED", 11, count="it", reason="Kept").replace(b'"it"', number)
    )

    assert record["event"]["count"] is None
    assert record["event"]["reason"] == "Kept"


# --- lists


def test_a_first_list_is_all_new_and_carries_no_old_state(batcher: Batcher) -> None:
    (batch,) = batcher.from_list([listed_event(11), listed_event(7, count=5)], newer_than=None)

    assert [record["verb"] for record in records(batch)] == ["ADDED", "ADDED"]
    assert versions(records(batch)) == ["11", "7"]


def test_a_list_moves_no_position(batcher: Batcher) -> None:
    """Its items come in the order of their names: only the end of the whole list completes it."""
    batches = list(batcher.from_list([listed_event(11), listed_event(12)], newer_than=None))

    assert [batch.positions for batch in batches] == [{}]


def test_a_list_gives_its_states_to_the_watch_that_follows(batcher: Batcher) -> None:
    list(batcher.from_list([listed_event(11, uid=UID, count=4)], newer_than=None))

    (update,) = watched(batcher, line("MODIFIED", 12, count=5))

    assert update["old_event"]["count"] == 4


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"message": "x"}, id="records"),
        pytest.param({"message": "x" * 100_000}, id="bytes"),
    ],
)
def test_a_list_comes_in_full_batches_and_a_last_one(
    batcher: Batcher, event: dict[str, Any]
) -> None:
    items = [listed_event(version, **event) for version in range(1, MAX_RECORDS + 4)]

    batches = list(batcher.from_list(items, newer_than=None))

    assert sorted(versions(records(*batches)), key=int) == [
        str(version) for version in range(1, MAX_RECORDS + 4)
    ]
    assert all(batch.is_full for batch in batches[:-1])
    assert not batches[-1].is_full
    assert all(
        batch.records <= MAX_RECORDS and batch.size_bytes < MAX_BYTES + 110_000 for batch in batches
    )


def test_after_a_gap_only_what_is_newer_is_shipped(batcher: Batcher) -> None:
    """What is not newer than the position was shipped before."""
    shipped = after_gap(batcher, *map(listed_event, (21, 19, 20, 22)))

    assert versions(shipped) == ["21", "22"]


def test_versions_are_compared_as_numbers(batcher: Batcher) -> None:
    assert versions(after_gap(batcher, listed_event(100), listed_event(9))) == ["100"]


@pytest.mark.parametrize("version", ["", "abc", "1" * 5000])
def test_after_a_gap_an_event_without_a_usable_version_is_shipped(
    batcher: Batcher, version: str
) -> None:
    """Once too often is harmless."""
    assert len(after_gap(batcher, listed_event(version))) == 1


def test_after_a_gap_an_event_seen_before_is_an_update(batcher: Batcher) -> None:
    remember(batcher, listed_event(18, uid="seen"))

    shipped = after_gap(batcher, listed_event(21, uid="seen"), listed_event(22, uid="new"))

    assert [record["verb"] for record in shipped] == ["UPDATED", "ADDED"]


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
    batcher: Batcher, changes: dict[str, Any], verb: str
) -> None:
    (record,) = after_gap(batcher, listed_event(21, **changes))

    assert record["verb"] == verb


def test_a_list_after_a_gap_that_starts_again_says_the_same(batcher: Batcher) -> None:
    """The sink keeps what came first: a verb that changed with the repetition would be luck."""
    remember(batcher, listed_event(18, uid="seen"))

    def list_again() -> list[str]:
        shipped = after_gap(batcher, listed_event(21, uid="seen"), listed_event(22, uid="new"))
        return [record["verb"] for record in shipped]

    assert [list_again() for _ in range(3)] == [["UPDATED", "ADDED"]] * 3


def test_a_list_after_a_gap_that_starts_again_tells_what_changed_meanwhile(
    batcher: Batcher,
) -> None:
    after_gap(batcher, listed_event(22, uid="new"))

    (record,) = after_gap(batcher, listed_event(25, uid="new"))

    assert record["verb"] == "UPDATED"


def test_what_a_gap_showed_first_has_been_seen_before_the_next_one(batcher: Batcher) -> None:
    after_gap(batcher, listed_event(22, uid="new"))
    batcher.end_list()

    (record,) = after_gap(batcher, listed_event(22, uid="new"), since=21)

    assert record["verb"] == "UPDATED"


def test_after_a_gap_events_without_a_uid_are_not_taken_for_one(batcher: Batcher) -> None:
    shipped = after_gap(batcher, listed_event(21, uid=""), listed_event(22, uid=""))

    assert [record["verb"] for record in shipped] == ["ADDED", "ADDED"]


def test_after_a_gap_an_update_carries_no_old_state(batcher: Batcher) -> None:
    """The state right before it may be lost in the gap: an old state is never guessed."""
    remember(batcher, listed_event(18, uid="seen"))

    (record,) = after_gap(batcher, listed_event(21, uid="seen"))

    assert "old_event" not in record


def test_after_a_gap_the_watch_knows_the_states_of_the_list(batcher: Batcher) -> None:
    """Of those too that were shipped before: the next update is of just that state."""
    after_gap(batcher, listed_event(19, uid="old", count=2), listed_event(21, uid="new", count=3))

    old, new = watched(
        batcher, line("MODIFIED", 31, uid="old", count=9), line("MODIFIED", 32, uid="new", count=9)
    )

    assert (old["old_event"]["count"], new["old_event"]["count"]) == (2, 3)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_state_that_a_list_does_not_show_again_is_not_known(
    batcher: Batcher, is_complete: bool
) -> None:
    """It may be another one by now: an old state is never guessed."""
    remember(batcher, listed_event(18, uid="seen"))
    after_gap(batcher, listed_event(19, uid="other"))
    if is_complete:
        batcher.end_list()

    (record,) = watched(batcher, line("MODIFIED", 21, uid="seen"))

    assert "old_event" not in record


def test_on_a_later_page_only_what_has_not_changed_in_between_is_an_old_state(
    batcher: Batcher,
) -> None:
    """The list began at 20, from where the watch will begin; this page is of a newer revision."""
    batcher.begin_list()
    items = [listed_event(19, uid="unchanged", count=2), listed_event(25, uid="changed", count=3)]

    shipped = records(*batcher.from_list(items, newer_than=None, known_up_to=20))
    batcher.end_list()
    unchanged, changed, again = watched(
        batcher,
        line("MODIFIED", 21, uid="unchanged", count=9),
        line("MODIFIED", 25, uid="changed", count=3),
        line("MODIFIED", 26, uid="changed", count=4),
    )

    assert len(shipped) == 2
    assert unchanged["old_event"]["count"] == 2
    assert "old_event" not in changed
    assert again["old_event"]["count"] == 3


def test_a_page_of_an_earlier_revision_leaves_the_states_that_the_watch_has_shown(
    batcher: Batcher,
) -> None:
    """While the list went on, the watch got further: what it showed is newer."""
    batcher.begin_list()
    watched(batcher, line("MODIFIED", 31, uid="seen", count=5))
    items = [listed_event(19, uid="seen", count=4), listed_event(18, uid="other", count=1)]

    shipped = records(*batcher.from_list(items, newer_than=None, known_up_to=0))
    batcher.end_list()
    seen, other = watched(
        batcher, line("MODIFIED", 32, uid="seen", count=6), line("MODIFIED", 33, uid="other")
    )

    assert len(shipped) == 2
    assert seen["old_event"]["count"] == 5
    assert "old_event" not in other


def test_a_list_tells_when_there_is_no_more_room_for_states(metrics: Metrics) -> None:
    """Whoever lists for the states alone asks for no page more."""
    batcher = new_batcher(metrics, cache=4000)
    batcher.begin_list()

    for number in count():
        items = [listed_event(1 + item, uid=f"{number}-{item}") for item in range(3)]
        list(batcher.from_list(items, newer_than=20))
        if batcher.is_full:
            break

    assert 0 < number < 10
    batcher.begin_list()
    assert not batcher.is_full


def test_what_is_remembered_is_not_shipped_and_is_the_next_old_state(
    batcher: Batcher, metrics: Metrics
) -> None:
    remember(batcher, listed_event(11, uid=UID, count=4, message="\ud800"))

    (update,) = watched(batcher, line("MODIFIED", 12, count=5))

    assert update["old_event"]["count"] == 4
    assert metrics.total(metrics.truncated) == 0


@given(st.lists(strange_events, max_size=4), st.none() | st.integers(0, 10**6))
def test_no_object_stops_a_list(items: list[dict[str, Any]], newer_than: int | None) -> None:
    batcher = new_batcher(Metrics())

    batches = list(batcher.from_list(map(read, items), newer_than=newer_than))

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
def test_after_a_gap_odd_metadata_stops_nothing(batcher: Batcher, metadata: dict[str, Any]) -> None:
    assert len(after_gap(batcher, listed_event(21, metadata=metadata))) == 1
