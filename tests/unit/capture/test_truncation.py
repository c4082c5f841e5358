"""What cannot go whole is cut, and stays fit for msgpack and Fluent Bit."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventrouter.capture.truncation import KEPT_CHARACTERS, MAX_DEPTH, is_deep, make_plain, shorten
from tests.support.values import depth, integers, json_values, nested, scalars, texts, unpack

objects = st.dictionaries(texts, json_values, max_size=3)


@given(objects)
def test_an_object_is_deep_when_more_than_so_many_containers_stand_within_each_other(
    value: dict[str, Any],
) -> None:
    assert is_deep(value) == (depth(value) > MAX_DEPTH)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [(1, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (1000, True)],
)
def test_depth_counts_the_object_itself(levels: int, expected: bool) -> None:
    assert is_deep({"in": nested(levels - 1)}) is expected


@given(json_values)
def test_what_is_made_plain_can_be_packed_and_is_not_deep(value: Any) -> None:
    plain = make_plain(value)

    assert unpack(msgpack.packb(plain)) == plain
    assert depth(plain) <= MAX_DEPTH


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | integers
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=6,
    )
)
@example(-(2**63))
def test_what_is_plain_already_stays_as_it_is(value: Any) -> None:
    assert make_plain(value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udfff", "\ufffd"),
        ("\ud83d\ude00", "😀"),
        (2**63 - 1, 2**63 - 1),
        (2**64, str(2**64)),
        (-(2**64), str(-(2**64))),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (True, True),
    ],
)
def test_each_value_that_does_not_fit_becomes_the_nearest_that_does(
    value: Any, expected: Any
) -> None:
    assert make_plain({"it": [value]}) == {"it": [expected]}


def test_a_key_that_does_not_fit_is_mended_like_a_text() -> None:
    assert make_plain({"a\ud800": 1}) == {"a\ufffd": 1}


def test_only_the_containers_below_the_last_level_are_lost() -> None:
    """Neighbours of what is too deep stay, at every level."""
    value: Any = {"lost": ["x"], "kept": "y"}
    for _ in range(MAX_DEPTH - 1):
        value = {"in": value, "beside": 1}

    plain = make_plain(value)

    for _ in range(MAX_DEPTH - 1):
        assert plain["beside"] == 1
        plain = plain["in"]
    assert plain == {"lost": "…", "kept": "y"}


@given(json_values, st.integers(1, 50))
def test_a_shortened_value_has_no_long_text_and_no_wide_or_deep_container(
    value: Any, characters: int
) -> None:
    def check(short: Any) -> None:
        if isinstance(short, str):
            assert len(short.removesuffix("…")) <= characters
        elif isinstance(short, dict):
            assert len(short) <= 24
            for key, inner in short.items():
                check(key)
                check(inner)
        elif isinstance(short, list):
            assert len(short) <= 24
            for inner in short:
                check(inner)

    short = shorten(value, characters)

    assert depth(short) <= 3
    check(short)


@given(scalars)
def test_a_small_event_is_not_shortened(scalar: Any) -> None:
    event = {"message": scalar, "metadata": {"annotations": {"a": scalar}, "owners": [scalar]}}

    assert repr(shorten(event, 10_000)) == repr(event)


def test_a_long_text_keeps_its_beginning_and_says_that_it_goes_on() -> None:
    assert shorten({"key": "abcdef"}, 3) == {"key": "abc…"}
    assert shorten({"key": "abc"}, 3) == {"key": "abc"}
    assert shorten({"long key": 1}, 3) == {"lon…": 1}


def test_a_wide_container_keeps_its_first_items() -> None:
    """In an Event those are the ones that name it."""
    wide = {f"key-{number:03}": number for number in range(100)}

    short = shorten({"dict": wide, "list": list(range(100))}, 10)

    assert list(short["dict"]) == list(wide)[: len(short["dict"])]
    assert short["list"] == list(range(len(short["list"])))
    assert len(short["dict"]) >= 20
    assert len(short["list"]) >= 20


def test_even_the_widest_object_is_small_at_the_last_step() -> None:
    """Under 2 MB, so that it fits into a record whatever it was: the worst of every kind."""

    def worst(levels: int) -> Any:
        if not levels:
            return "😀" * 1000
        return {"😀" * 12 + f"{number:04}" + "😀" * 900: worst(levels - 1) for number in range(30)}

    short = shorten({"metadata": {}} | worst(3), KEPT_CHARACTERS[-1])

    assert len(msgpack.packb(short)) < 2_000_000
    assert len(short) > 20
