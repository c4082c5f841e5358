"""From an Event object to the record that is shipped: whole, dated, named; never an exception."""

from __future__ import annotations

import copy
import itertools
import json
import re
import sys
import time
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventrouter.capture.record import MAX_RECORD_BYTES, TAG_SUFFIXES, Record, Shaper, event_time
from eventrouter.forward import protocol
from tests.support.events import UID, make_event, read
from tests.support.strange import strange_events
from tests.support.values import depth, nested, texts, unpack

DAY = 24 * 3600
# The deepest that a JSON parser lets through.
VERY_DEEP = 1000


def shape(event: Any, verb: str = "ADDED", old_state: bytes | None = None) -> Record:
    return Shaper().shape(read(event), verb, old_state)


def content(record: Record) -> dict[str, Any]:
    """The record as the receiver reads it."""
    shipped: dict[str, Any] = unpack(record.entry)[1]
    return shipped


def entry_time(record: Record) -> tuple[int, int]:
    """Seconds and nanoseconds, as the receiver reads them."""
    stamp, _ = unpack(record.entry)
    assert (stamp.code, len(stamp.data)) == (0, 8)
    return int.from_bytes(stamp.data[:4], "big"), int.from_bytes(stamp.data[4:], "big")


def seconds(text: str) -> int:
    return event_time(read({"metadata": {"creationTimestamp": text}})) // 10**9


# --- what is in a record


def test_a_first_sighting_is_the_event_less_what_lists_lack() -> None:
    """`managedFields`, `kind` and `apiVersion` go, all else stays as the API gave it."""
    event = make_event()
    expected = make_event(without=("kind", "apiVersion", "managedFields"))

    record = shape(event)

    assert content(record) == {"verb": "ADDED", "event": expected, "id": f"{UID}-1207"}
    assert record.truncated is None


def test_an_update_carries_the_state_before_it() -> None:
    before = shape(make_event(count=1))
    after = shape(make_event({"resourceVersion": "1300"}, count=2), "UPDATED", before.state)

    shipped = content(after)

    assert shipped["verb"] == "UPDATED"
    assert shipped["old_event"] == content(before)["event"]
    assert shipped["event"]["count"] == 2


def test_an_update_whose_old_state_is_unknown_has_no_old_event() -> None:
    assert "old_event" not in content(shape(make_event(), "UPDATED"))


@pytest.mark.parametrize("cluster", ["prod-eu", ""])
def test_the_cluster_is_in_each_record_when_it_has_a_name(cluster: str) -> None:
    shaper = Shaper(cluster=cluster)

    record = shaper.shape(read(make_event()), "UPDATED", shape(make_event()).state)

    assert content(record)["cluster"] == cluster


def test_no_record_has_a_timestamp_of_its_own() -> None:
    """Fluent Bit makes `@timestamp` from the entry's time: two of them are an error to the sink."""
    assert not {"@timestamp", "time"} & content(shape(make_event())).keys()


@pytest.mark.parametrize(
    ("event_type", "tag_suffix"),
    [
        ("Normal", "normal"),
        ("Warning", "warning"),
        ("normal", "other"),
        ("", "other"),
        (None, "other"),
        (["Normal"], "other"),
    ],
)
def test_the_tag_ends_in_one_of_three_whatever_the_type(event_type: Any, tag_suffix: str) -> None:
    """Few tags, so few buffer files."""
    assert shape(make_event(type=event_type)).tag_suffix == tag_suffix


def test_an_event_without_a_type_gets_the_other_tag() -> None:
    assert shape(make_event(without=("type",))).tag_suffix == "other"


def test_the_state_for_the_cache_is_the_state_that_is_shipped() -> None:
    """Also when it had to be cut: an old state must never be what a record could not hold."""
    for event in (make_event(), make_event(message="\ud800"), make_event(extra=nested(40))):
        record = shape(event)

        assert unpack(record.state) == content(record)["event"]


@pytest.mark.parametrize("uid", [None, 7, ["a"], {"a": 1}])
def test_a_uid_that_is_no_text_names_no_state(uid: Any) -> None:
    assert shape(make_event(metadata={"uid": uid})).uid == ""


# --- any shape at all


old_states = st.sampled_from(
    [None, *(shape(event).state for event in ({}, make_event(), make_event(extra=nested(99))))]
)


@settings(max_examples=150)
@given(
    strange_events,
    st.sampled_from(["ADDED", "UPDATED"]),
    old_states,
    st.none() | st.text(max_size=20),
)
def test_any_object_becomes_a_frame_that_fluent_bit_can_read(
    event: Any, verb: str, old_state: bytes | None, cluster: str | None
) -> None:
    """No exception, at most 32 levels, and an id that Elasticsearch takes."""
    record = Shaper(cluster=cluster).shape(read(event), verb, old_state)

    tag, entries, option = unpack(protocol.encode("t", [record.entry], chunk_id="c"))
    assert (tag, len(entries), option) == ("t", 1, {"chunk": "c"})
    assert depth([tag, entries, option]) <= 32
    shipped = entries[0][1]
    assert shipped["verb"] == verb
    assert shipped["event"].keys().isdisjoint({"kind", "apiVersion"})
    assert record.tag_suffix in TAG_SUFFIXES
    assert (record.truncated is None) == ("truncated" not in shipped)
    assert shipped.get("truncated") == record.truncated
    assert len(record.entry) <= MAX_RECORD_BYTES
    assert isinstance(shipped["id"], str)
    assert re.fullmatch(r"[^\x00-\x20\"\\\x7f-\uffff]{1,512}", shipped["id"])


def plainly(value: Any) -> str:
    """The value, but for the order of its fields."""
    return json.dumps(value, sort_keys=True)


@given(strange_events)
def test_an_object_that_is_whole_is_not_changed(event: Any) -> None:
    """Without a mark in `truncated` the receiver has what the API server sent."""
    expected = copy.deepcopy(event)
    expected.pop("kind", None)
    expected.pop("apiVersion", None)
    if isinstance(expected.get("metadata"), dict):
        expected["metadata"].pop("managedFields", None)

    record = shape(event)

    if record.truncated is None:
        assert plainly(content(record)["event"]) == plainly(expected)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(make_event(extra=nested(VERY_DEEP)), id="field"),
        pytest.param(make_event(message=nested(VERY_DEEP)), id="message"),
        pytest.param({"metadata": nested(VERY_DEEP)}, id="metadata"),
        pytest.param(make_event(metadata={"uid": nested(VERY_DEEP)}), id="uid"),
        pytest.param(make_event(metadata={"resourceVersion": nested(VERY_DEEP)}), id="version"),
        pytest.param(make_event(metadata={"creationTimestamp": nested(VERY_DEEP)}), id="created"),
        pytest.param(make_event(metadata={"managedFields": nested(VERY_DEEP)}), id="managed"),
        pytest.param(make_event(lastTimestamp=nested(VERY_DEEP)), id="time"),
        pytest.param(make_event(series=nested(VERY_DEEP)), id="series"),
        pytest.param(make_event(type=nested(VERY_DEEP)), id="type"),
    ],
)
def test_an_object_as_deep_as_a_parser_allows_is_shaped(event: Any) -> None:
    """Wherever the depth is: in no place may it end in a RecursionError."""
    record = shape(copy.copy(event))

    assert depth(unpack(record.entry)) <= 30
    assert content(record)["id"]


def test_what_is_too_deep_is_cut_and_marked() -> None:
    record = shape(make_event(extra=nested(40), reason="Kept"))

    assert record.truncated == "depth"
    assert content(record)["truncated"] == "depth"
    assert content(record)["event"]["reason"] == "Kept"


def test_depth_in_managed_fields_cuts_nothing() -> None:
    """They are not shipped, so they are no reason to cut."""
    assert shape(make_event(metadata={"managedFields": [nested(40)]})).truncated is None


@pytest.mark.parametrize("value", ["\ud800", 2**64, -(2**63) - 1], ids=["surrogate", "big", "low"])
def test_what_cannot_be_encoded_is_mended_and_marked(value: Any) -> None:
    record = shape(make_event(message=value, reason="Kept"))

    assert record.truncated == "encoding"
    assert content(record)["truncated"] == "encoding"
    assert content(record)["event"]["reason"] == "Kept"


def test_a_key_that_cannot_be_encoded_is_mended() -> None:
    record = shape({"a\ud800": 1})

    assert content(record)["event"] == {"a\ufffd": 1}


def test_what_cannot_be_encoded_leaves_no_trace_in_the_next_record() -> None:
    shaper = Shaper()

    shaper.shape(read(make_event(message="half a record, then \ud800")), "ADDED", None)
    record = shaper.shape(read(make_event()), "ADDED", None)

    assert record == shape(make_event())


# --- size


def of_size(size: int) -> dict[str, Any]:
    """An event whose message makes it so many bytes long, packed."""
    empty = len(shape(make_event(message="x" * 70_000)).state) - 70_000
    return make_event(message="x" * (size - empty))


def test_a_record_as_large_as_allowed_goes_whole() -> None:
    around = len(shape(make_event()).entry) - len(shape(make_event()).state)

    whole = shape(of_size(MAX_RECORD_BYTES - around))
    cut = shape(of_size(MAX_RECORD_BYTES - around + 1))

    assert (whole.truncated, len(whole.entry)) == (None, MAX_RECORD_BYTES)
    assert cut.truncated == "size"
    assert len(cut.entry) < MAX_RECORD_BYTES


def test_the_largest_states_that_etcd_takes_go_whole_with_their_old_state() -> None:
    largest = int(1.5 * 1024 * 1024)
    old_state = shape(of_size(largest)).state

    record = shape(of_size(largest), "UPDATED", old_state)

    assert record.truncated is None
    assert content(record)["old_event"] == unpack(old_state)


def test_the_old_state_goes_first_when_a_record_is_too_large() -> None:
    event = of_size(3 * 1024 * 1024)
    old_state = shape(copy.deepcopy(event)).state

    record = shape(event, "UPDATED", old_state)

    shipped = content(record)
    assert record.truncated == shipped["truncated"] == "size"
    assert "old_event" not in shipped
    assert shipped["event"] == unpack(old_state)


@pytest.mark.parametrize(
    "bulk",
    [
        pytest.param({"message": "x" * 5_000_000}, id="one text"),
        pytest.param({"message": "😀" * 1_500_000}, id="four bytes a character"),
        pytest.param({"k" * 5_000_000: 1}, id="one key"),
        pytest.param({"related": [{"n": "x" * 50}] * 100_000}, id="a long list"),
        pytest.param({"related": [2**63] * 600_000}, id="numbers"),
        pytest.param({f"field-{number}": "x" * 30_000 for number in range(200)}, id="many fields"),
        pytest.param({"a": {str(n): {"b": "x" * 2_000_000} for n in range(4)}}, id="deeper"),
        pytest.param({"message": "\ud800" + "x" * 5_000_000}, id="not encodable either"),
        pytest.param({"message": "x" * 5_000_000, "extra": nested(50)}, id="deep as well"),
    ],
)
def test_whatever_is_too_large_is_cut_until_it_fits_and_still_says_what_it_is(
    bulk: dict[str, Any],
) -> None:
    record = shape(make_event(**bulk), "UPDATED", b"\xc0")

    shipped = content(record)
    assert len(record.entry) <= MAX_RECORD_BYTES
    assert record.truncated == shipped["truncated"] == "size"
    assert shipped["id"] == f"{UID}-1207"
    assert shipped["event"]["involvedObject"] == make_event()["involvedObject"]
    assert unpack(record.state) == shipped["event"]
    assert record.tag_suffix == "warning"


# --- the id


@given(strange_events, st.sampled_from(["ADDED", "UPDATED"]), st.booleans())
def test_the_same_state_has_the_same_id_and_time_however_it_came(
    event: dict[str, Any], verb: str, is_listed: bool
) -> None:
    """From a list or a watch, first or again, with or without an old state: sent again, it is the
    same document in the same index."""
    again = copy.deepcopy(event)
    if is_listed:
        again.pop("kind", None)
        again.pop("apiVersion", None)

    first = shape(event)
    second = Shaper(cluster="c").shape(read(again), verb, first.state)

    assert content(first)["id"] == content(second)["id"]
    assert entry_time(first) == entry_time(second)


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="version missing"),
        pytest.param({"resourceVersion": None}, id="version null"),
        pytest.param({"resourceVersion": ""}, id="version empty"),
        pytest.param({"resourceVersion": "12", "uid": None}, id="uid null"),
        pytest.param({"resourceVersion": "12", "uid": ""}, id="uid empty"),
        pytest.param({"resourceVersion": "12", "uid": 'a"b'}, id="uid with a quote"),
        pytest.param({"resourceVersion": "12", "uid": "a\nb"}, id="uid with a line break"),
        pytest.param({"resourceVersion": "12", "uid": "ü"}, id="uid not ASCII"),
        pytest.param({"resourceVersion": "12", "uid": "a" * 600}, id="uid too long"),
    ],
)
def test_states_that_no_uid_and_version_tell_apart_have_ids_of_their_own(
    metadata: dict[str, Any],
) -> None:
    """Under one id the sink would keep the first and drop the second as a repetition."""

    def identified(count: int) -> str:
        event = make_event(without=("resourceVersion",), count=count)
        event["metadata"] |= metadata
        record_id: str = content(shape(event))["id"]
        return record_id

    assert identified(1) == identified(1)
    assert identified(1) != identified(2)


def test_two_states_share_an_id_only_if_they_share_a_uid_and_a_version() -> None:
    """Texts both: 7 and "7" are not the same, and nothing stands for a missing one."""
    uids = [None, "", "a", "7", "True", 7, 7.0, True, ["a"]]
    versions = [None, "", "7", "12", 7, True, ["7"]]
    pairs = list(itertools.product(uids, versions))
    named = [pair for pair in pairs if all(isinstance(part, str) and part for part in pair)]

    ids = {
        content(shape(make_event({"uid": uid, "resourceVersion": version}, count=count)))["id"]
        for uid, version in pairs
        for count in (1, 2)
    }

    assert len(ids) == len(named) + 2 * (len(pairs) - len(named))


# --- the time


def text_of(nanoseconds: int, *, offset_minutes: int, digits: int) -> str:
    """RFC 3339, written by hand so that it owes nothing to the parser under test."""
    whole, fraction = divmod(nanoseconds, 10**9)
    there = time.gmtime(whole + offset_minutes * 60)
    sign = "-" if offset_minutes < 0 else "+"
    zone = f"{sign}{abs(offset_minutes) // 60:02}:{abs(offset_minutes) % 60:02}"
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", there)
        + (f".{fraction:09}"[: digits + 1] if digits else "")
        + ("Z" if offset_minutes == 0 else zone)
    )


# Microseconds from the creation, near the two borders more often than not.
offsets = st.one_of(
    st.integers(-3 * DAY * 10**6, 3 * DAY * 10**6),
    st.sampled_from([-DAY, 0, DAY, 2 * DAY]).flatmap(
        lambda border: st.integers(-2, 2).map(lambda step: border * 10**6 + step)
    ),
)
no_times: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "soon", 5, [], "2026-02-30T00:00:00Z", "2026-03-04T05:06:07", "0001-01-01T00:00:00Z"]
)


@settings(max_examples=300)
@given(
    created=st.integers(10**9, 2 * 10**9),
    claims=st.lists(st.none() | offsets, min_size=4, max_size=4),
    junk=no_times,
    managed=st.lists(st.integers(0, 3 * DAY), max_size=3),
    zone=st.sampled_from([0, 0, 330, -480]),
)
def test_the_time_is_the_first_of_the_chain_that_is_within_a_day_of_what_the_server_dated(
    created: int, claims: list[int | None], junk: Any, managed: list[int], zone: int
) -> None:
    """Not more than 24 h before the creation, nor than 24 h after the newest managedFields time,
    else the creation; and the next in the chain otherwise. The oracle knows only numbers."""
    created_ns = created * 10**9
    latest_ns = max([created + later for later in managed], default=created) * 10**9
    expected = created_ns
    for claim in reversed(claims):
        if claim is not None:
            claim_ns = created_ns + claim * 1000
            if created_ns - DAY * 10**9 <= claim_ns <= latest_ns + DAY * 10**9:
                expected = claim_ns
    observed, last, claimed, first = (
        junk if claim is None else text_of(created_ns + claim * 1000, offset_minutes=zone, digits=6)
        for claim in claims
    )

    event = make_event(
        {
            "creationTimestamp": text_of(created_ns, offset_minutes=0, digits=0),
            "managedFields": [
                {"time": text_of((created + later) * 10**9, offset_minutes=0, digits=0)}
                for later in managed
            ],
        },
        series={"lastObservedTime": observed},
        lastTimestamp=last,
        eventTime=claimed,
        firstTimestamp=first,
    )

    result = event_time(read(event))

    assert result == expected


@pytest.mark.parametrize("name", ["lastTimestamp", "eventTime", "firstTimestamp"])
@pytest.mark.parametrize(
    "claim", ["2999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-03-05T05:06:08Z"]
)
def test_a_time_far_from_the_creation_is_not_believed(name: str, claim: str) -> None:
    """Anyone with the `edit` role may write one, and it would choose the index."""
    event = make_event(without=("lastTimestamp", "eventTime", "firstTimestamp"))
    event[name] = claim

    assert entry_time(shape(event)) == (seconds("2026-03-04T05:06:07Z"), 0)


def test_a_time_that_is_not_believed_gives_way_to_the_next_in_the_chain() -> None:
    event = make_event(
        series={"lastObservedTime": "2999-01-01T00:00:00.000000Z"},
        lastTimestamp="2026-03-04T05:16:00Z",
    )

    assert entry_time(shape(event)) == (seconds("2026-03-04T05:16:00Z"), 0)


def test_an_old_event_that_is_still_updated_keeps_its_own_time() -> None:
    """A day after its creation, for the API server itself has dated its last write since."""
    event = make_event(
        metadata={"managedFields": [{"time": "2026-03-09T05:06:07Z"}, {"time": "junk"}, 5]},
        lastTimestamp="2026-03-09T05:06:07Z",
    )

    assert entry_time(shape(event)) == (seconds("2026-03-09T05:06:07Z"), 0)


def test_digits_below_the_second_are_kept() -> None:
    event = make_event(series={"count": 2, "lastObservedTime": "2026-03-04T05:06:08.012345Z"})

    assert entry_time(shape(event)) == (seconds("2026-03-04T05:06:08Z"), 12_345_000)


def test_an_event_without_a_creation_time_is_taken_at_its_word() -> None:
    event = make_event(without=("creationTimestamp",))

    assert entry_time(shape(event)) == (seconds("2026-03-04T05:06:07Z"), 0)


def test_an_event_without_any_time_is_of_1970() -> None:
    assert entry_time(shape({"metadata": {}})) == (0, 0)


@given(texts | st.text(alphabet="0123456789-:T.Z+W ", max_size=30))
@example("9999-12-31T23:59:59.999999-23:59")
@example("1969-12-31T23:59:59Z")
@example("2106-02-07T06:28:14Z")
def test_any_text_as_a_time_gives_one_that_fits_the_protocol(text: str) -> None:
    """32 bits of seconds, of which Fluent Bit keeps the last two values for itself."""
    result = event_time(read({"lastTimestamp": text}))

    assert 0 <= result // 10**9 <= 0xFFFFFFFD


def test_the_last_second_that_fits_is_shipped() -> None:
    assert event_time(read({"lastTimestamp": "2106-02-07T06:28:13Z"})) == 0xFFFFFFFD * 10**9


def test_msgpack_is_as_strict_as_the_tests_take_it_to_be() -> None:
    """These tests would show nothing if it unpacked anything."""
    with pytest.raises(ValueError):
        unpack(b"\xa1\xff")
    with pytest.raises(ValueError):
        unpack(msgpack.packb([1]) + b"\xc0")


def test_a_text_that_is_no_time_is_not_kept_however_long() -> None:
    text = "2026-11-22T10:00:00Z" + "0" * 1_000_000
    known = sys.getrefcount(text)
    event_time(read({"lastTimestamp": text}))
    assert sys.getrefcount(text) == known
