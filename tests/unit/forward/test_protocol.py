"""The forward protocol's bytes, held against msgpack's own reading of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventrouter.errors import AckMismatch
from eventrouter.forward import protocol
from eventrouter.forward.protocol import AckReader
from tests.support.values import json_values, unpack

ENTRY = protocol.entry_head(0) + protocol.pack({})


@pytest.mark.parametrize("count", [0, 1, 15, 16, 500, 65_535, 65_536])
def test_a_frame_is_tag_entries_and_chunk_whatever_the_number_of_entries(count: int) -> None:
    """Each size of msgpack's array header, and none of it as PackedForward's binary."""
    tag, entries, option = unpack(
        protocol.encode("kube.events.normal", [ENTRY] * count, chunk_id="id=")
    )

    assert tag == "kube.events.normal"
    assert isinstance(entries, list)
    assert len(entries) == count
    assert entries[-1:] == [[msgpack.ExtType(0, bytes(8)), {}]] * min(count, 1)
    assert option == {"chunk": "id="}


@given(st.text(max_size=300), st.text(max_size=300), st.lists(st.binary(max_size=9), max_size=40))
def test_a_frame_keeps_its_entries_in_order(tag: str, chunk: str, bodies: list[bytes]) -> None:
    entries = [protocol.entry_head(0) + protocol.pack({"body": body}) for body in bodies]

    frame = unpack(protocol.encode(tag, entries, chunk_id=chunk))

    assert frame[0] == tag
    assert [record["body"] for _, record in frame[1]] == bodies
    assert frame[2] == {"chunk": chunk}


@given(st.integers(0, 0xFFFFFFFD), st.integers(0, 999_999_999))
@example(0xFFFFFFFD, 999_999_999)
@example(0, 0)
def test_the_time_is_two_big_endian_words_of_ext_type_0(seconds: int, nanoseconds: int) -> None:
    stamp, record = unpack(protocol.entry_head(seconds * 10**9 + nanoseconds) + b"\xc0")

    assert record is None
    assert stamp == msgpack.ExtType(0, seconds.to_bytes(4, "big") + nanoseconds.to_bytes(4, "big"))


@given(json_values.filter(lambda value: "\\ud" not in ascii(value)))
def test_pack_is_msgpack(value: Any) -> None:
    try:
        packed = protocol.pack(value)
    except (OverflowError, ValueError):
        return

    assert repr(unpack(packed)) == repr(value)


# --- acks


def ack(chunk: str) -> bytes:
    return protocol.pack({"ack": chunk})


@given(st.lists(st.text(max_size=40), max_size=20), st.data())
def test_any_split_of_the_answers_gives_the_same_acks_in_order(
    chunks: list[str], data: st.DataObject
) -> None:
    answers = b"".join(map(ack, chunks))
    cuts = data.draw(st.lists(st.integers(0, len(answers))))
    reader = AckReader()

    acks = [
        chunk
        for start, end in pairwise([0, *sorted(cuts), len(answers)])
        for chunk in reader.feed(answers[start:end])
    ]

    assert acks == chunks


def test_an_ack_is_given_out_as_soon_as_its_last_byte_is_there() -> None:
    """A sender that waited for more would wait for ever."""
    reader = AckReader()
    answer = ack("one")

    assert reader.feed(answer[:-1]) == []
    assert reader.feed(answer[-1:] + answer[:3]) == ["one"]
    assert reader.feed(answer[3:]) == ["one"]


def test_a_long_life_of_acks_is_no_overflow() -> None:
    """The limit is on what is not complete, not on what was ever read."""
    reader = AckReader()
    answer = ack("x" * 30)

    for _ in range(10_000):
        assert reader.feed(answer[:20]) == []
        assert len(reader.feed(answer[20:])) == 1


def test_an_ack_may_carry_more_than_the_chunk() -> None:
    assert AckReader().feed(protocol.pack({"ack": "a", "more": 1})) == ["a"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another protocol"),
        pytest.param(protocol.pack({}), id="no ack"),
        pytest.param(protocol.pack({"ack": 5}), id="a number"),
        pytest.param(protocol.pack({"ack": None}), id="null"),
        pytest.param(protocol.pack({"ack": b"bytes"}), id="bytes"),
        pytest.param(protocol.pack(["ack", "a"]), id="a list"),
        pytest.param(protocol.pack("ack"), id="a text"),
        pytest.param(msgpack.packb({5: "a"}), id="a number as key"),
        pytest.param(b"\x81\xa3ack\xa1\xff", id="not UTF-8"),
        pytest.param(b"\xc1", id="a byte that msgpack does not have"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="a map without end"),
        pytest.param(b"\x91" * 2000, id="a nest without end"),
        pytest.param(protocol.pack(["HELO", {"nonce": b"", "auth": b""}]), id="a login is asked"),
    ],
)
def test_any_other_answer_than_an_ack_is_a_mismatch(answer: bytes) -> None:
    reader = AckReader()

    with pytest.raises(AckMismatch):
        reader.feed(answer)


def test_an_answer_without_end_is_given_up() -> None:
    """The memory that a stranger can take here has a bound."""
    reader = AckReader()
    announced = b"\x81\xa3ack\xdb\x7f\xff\xff\xff"

    def feed_a_megabyte() -> None:
        assert reader.feed(announced) == []
        for _ in range(1024):
            assert reader.feed(b"x" * 1024) == []

    with pytest.raises(AckMismatch):
        feed_a_megabyte()


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_no_bytes_at_all_raise_anything_but_a_mismatch(pieces: list[bytes]) -> None:
    reader = AckReader()

    try:
        answers = [chunk for piece in pieces for chunk in reader.feed(piece)]
    except AckMismatch:
        return

    assert all(isinstance(chunk, str) for chunk in answers)
