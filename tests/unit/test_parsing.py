"""JSON off the wire: what it means where it can be read, BadLine where it cannot, nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventrouter.errors import ApiError, BadLine
from eventrouter.parsing import parse_object, parse_watch_event
from tests.unit.material import containers_of, integers, make_event, texts

finite_numbers = st.floats(allow_nan=False, allow_infinity=False)
objects = st.dictionaries(
    texts,
    containers_of(st.none() | st.booleans() | integers | finite_numbers | texts),
    max_size=3,
)


@given(st.sampled_from(["ADDED", "MODIFIED", "odd"]), objects)
def test_a_watch_event_is_read_whatever_its_object_holds(kind: str, content: Any) -> None:
    """Lone surrogates too, which strict parsers refuse."""
    line = json.dumps({"type": kind, "object": content}).encode()

    assert repr(parse_watch_event(line)) == repr((kind, json.loads(json.dumps(content))))


def test_real_text_is_read_as_it_is() -> None:
    event = make_event(message="Zurück: 😀 \u2028 \x00")
    line = json.dumps({"type": "ADDED", "object": event}, ensure_ascii=False).encode()

    assert parse_watch_event(line) == ("ADDED", event)


def test_bytes_that_are_no_utf_8_damage_only_their_own_text() -> None:
    kind, event = parse_watch_event(b'{"type":"ADDED","object":{"a":"x\xffy","b":1}}')

    assert (kind, event) == ("ADDED", {"a": "x\ufffdy", "b": 1})


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\xff", id="no text"),
        pytest.param(b'{"type":"ADDED","object":{"metadata":{"na', id="cut off"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(b'{"type":"ADDED"}', id="no object"),
        pytest.param(b'{"object":{}}', id="no type"),
        pytest.param(b'{"type":"ADDED","object":[]}', id="a list as object"),
        pytest.param(b'{"type":5,"object":{}}', id="a number as type"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"type":"ADDED","object":{"a":' + b"9" * 5000 + b"}}", id="too many digits"),
    ],
)
def test_a_line_that_is_no_watch_event_is_bad(line: bytes) -> None:
    with pytest.raises(BadLine) as caught:
        parse_watch_event(line)

    assert caught.value.reason == "bad_line"
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60))
@example(b'{"type":"ADDED","object":{}}\xff')
def test_no_bytes_raise_anything_but_an_api_error(line: bytes) -> None:
    for parse in (parse_watch_event, parse_object):
        try:
            parse(line)
        except ApiError:
            pass


@given(objects)
def test_an_answer_that_is_an_object_is_read(content: Any) -> None:
    expected = repr(json.loads(json.dumps(content)))

    assert repr(parse_object(json.dumps(content).encode())) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"<html>", b"5"])
def test_an_answer_that_is_no_object_is_bad(body: bytes) -> None:
    with pytest.raises(BadLine):
        parse_object(body)
