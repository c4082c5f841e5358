from __future__ import annotations

import gzip
import struct
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.standins.receiver.frames import EventTime, Frame, FrameReader, Malformed

TIME = msgpack.ExtType(0, struct.pack(">II", 1_700_000_000, 123_456_789))
RECORD = {"id": "u-1", "verb": "ADDED"}
ENTRY = [TIME, RECORD]


def read(*frames, **options):
    reader = FrameReader(**options)
    return [frame for each in frames for frame in reader.feed(msgpack.packb(each))]


def nested(depth):
    value: object = {"end": 1}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(["t", TIME, RECORD, {"chunk": "c"}], id="message"),
        pytest.param(["t", [ENTRY], {"chunk": "c", "size": 1}], id="forward"),
        pytest.param(["t", [[[TIME, {}], RECORD]], {"chunk": "c"}], id="forward with metadata"),
        pytest.param(["t", msgpack.packb(ENTRY), {"chunk": "c"}], id="packed forward"),
        pytest.param(
            ["t", gzip.compress(msgpack.packb(ENTRY)), {"chunk": "c", "compressed": "gzip"}],
            id="compressed packed forward",
        ),
    ],
)
def test_every_mode_gives_the_same_entry(frame):
    (found,) = read(frame)

    assert (found.tag, found.chunk, found.problem) == ("t", "c", None)
    assert found.entries == [(EventTime(1_700_000_000, 123_456_789), RECORD)]


@pytest.mark.parametrize(("time", "expected"), [(5, (5, 0)), (5.5, (5, 500_000_000))])
def test_plain_numbers_are_times_too(time, expected):
    (frame,) = read(["t", [[time, {}]]])

    assert frame.entries[0].time == expected
    assert frame.chunk is None


def test_a_frame_without_entries_is_a_frame():
    (frame,) = read(["t", [], {"chunk": "heartbeat"}])

    assert (frame.entries, frame.chunk) == ([], "heartbeat")


@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_split_of_the_bytes_gives_the_same_frames(cuts):
    frames = [["a", [ENTRY] * 2, {"chunk": "1"}], ["b", TIME, RECORD], ["c", [], {"chunk": "2"}]]
    data = b"".join(map(msgpack.packb, frames))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = FrameReader()

    found: list[Frame] = []
    for start, end in pairwise(edges):
        found.extend(reader.feed(data[start:end]))

    assert [(frame.tag, len(frame.entries), frame.chunk) for frame in found] == [
        ("a", 2, "1"),
        ("b", 1, None),
        ("c", 0, "2"),
    ]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param({"tag": "t"}, id="not an array"),
        pytest.param(["t"], id="too short"),
        pytest.param([b"t", [ENTRY]], id="tag of bytes"),
        pytest.param(["t", TIME], id="message without record"),
        pytest.param(["t", TIME, "text"], id="message whose record is no map"),
        pytest.param(["t", 1.5, RECORD], id="message whose time is a float"),
        pytest.param(["t", None, RECORD], id="neither time nor entries"),
        pytest.param(["t", [ENTRY], "option"], id="option that is no map"),
        pytest.param(["t", [ENTRY], {"chunk": b"c"}], id="chunk of bytes"),
        pytest.param(["t", [[TIME, nested(30)]]], id="33 containers within each other"),
        pytest.param(["t", b"\x1f\x8brubbish", {}], id="bad gzip"),
    ],
)
def test_what_fluent_bit_would_not_take_is_malformed(frame):
    with pytest.raises(Malformed):
        read(frame)


def test_bytes_that_are_no_msgpack_are_malformed():
    with pytest.raises(Malformed):
        list(FrameReader().feed(b"\xc1"))


def test_containers_may_be_nested_up_to_the_limit():
    (frame,) = read(["t", [[TIME, nested(29)]], {"chunk": "c"}])

    assert frame.problem is None


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("text", id="not a pair"),
        pytest.param([TIME, "text"], id="record that is no map"),
        pytest.param([-1, {}], id="time before 1970"),
        pytest.param(["now", {}], id="time as text"),
        pytest.param([msgpack.ExtType(0, b"1234"), {}], id="EventTime of 4 bytes"),
        pytest.param([msgpack.ExtType(1, b"12345678"), {}], id="ext of another type"),
    ],
)
def test_the_entries_before_a_bad_one_are_taken_and_the_frame_has_a_problem(entry):
    (frame,) = read(["t", [ENTRY, entry, ENTRY], {"chunk": "c"}])

    assert len(frame.entries) == 1
    assert frame.problem is not None


def test_packed_entries_behind_a_bad_byte_are_lost_without_a_word():
    payload = msgpack.packb(ENTRY) + b"\xc1" + msgpack.packb(ENTRY)

    (frame,) = read(["t", payload, {"chunk": "c"}])

    assert (len(frame.entries), frame.chunk, frame.problem) == (1, "c", None)


def test_a_frame_may_be_as_large_as_the_limit_and_no_larger():
    frame = ["t", [[TIME, {"text": "x" * 900}]], {"chunk": "c"}]
    size = len(msgpack.packb(frame))

    assert len(read(frame, frame, max_frame_bytes=size)) == 2
    with pytest.raises(Malformed):
        read(frame, max_frame_bytes=size - 1)
    with pytest.raises(Malformed):
        list(FrameReader(max_frame_bytes=size).feed(msgpack.packb(["t", "x" * size])[:size]))


def test_strings_need_not_be_utf_8():
    data = msgpack.packb(["t", [[1, {"text": "?"}]]]).replace(b"?", b"\xff")

    (frame,) = FrameReader().feed(data)

    assert frame.entries[0].record["text"].encode(errors="surrogateescape") == b"\xff"
