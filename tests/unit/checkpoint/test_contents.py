"""The checkpoint: read back as it was written, never a reason to fail, and where a start begins."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.checkpoint.contents import (
    NOT_UNDERSTOOD,
    OLDEST,
    Checkpoint,
    Start,
    resume,
    source_id,
)
from tests.support.values import json_values

positions = st.dictionaries(st.text(max_size=9), st.integers(0, 2**63).map(str), max_size=3)
checkpoints = st.builds(
    Checkpoint, st.text(max_size=9), st.text(max_size=9), acked=positions, delivered=positions
)
NOW = 1_750_000_000.25
CHECKPOINT = Checkpoint("source", "buffer", acked={"": "20"}, delivered={"": "10"})


# --- its contents


@given(checkpoints, st.floats(0, 4e9))
def test_what_is_encoded_is_decoded(checkpoint: Checkpoint, now: float) -> None:
    assert Checkpoint.decode(checkpoint.encode(now=now)) == checkpoint


@given(st.binary(max_size=80))
def test_any_bytes_are_a_checkpoint_or_not_understood(data: bytes) -> None:
    assert isinstance(Checkpoint.decode(data), Checkpoint)


def content(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(CHECKPOINT.encode(now=NOW))
    return fields | changes


@given(
    st.sampled_from(["version", "scope", "buffer", "acked", "delivered", "written", "more"]),
    json_values,
)
def test_any_damage_to_a_field_leaves_a_checkpoint_that_a_run_can_begin_at(
    name: str, value: Any
) -> None:
    data = json.dumps(content(**{name: value})).encode()

    checkpoint = Checkpoint.decode(data)

    assert isinstance(checkpoint.source_id, str)
    assert isinstance(checkpoint.buffer, str)
    for place in (checkpoint.acked, checkpoint.delivered):
        assert all(isinstance(key, str) for key in place)
        assert all(int(position) >= 0 for position in place.values())
    for namespace in ("", "shop"):
        start = resume(checkpoint, source_id="source", buffer="buffer").start(namespace)
        assert int(start.resume_at or start.list_at or "no") >= 0


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": "1"},
        {"version": None},
        {"scope": None},
        {"buffer": 5},
        {"acked": None},
        {"acked": []},
        {"acked": {"": 20}},
        {"acked": {"": ""}},
        {"delivered": {"": "-5"}},
        {"delivered": {"": "2.5"}},
        {"delivered": {"": "abc"}},
        {"delivered": {"": "9" * 5000}},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_what_is_not_of_this_format_is_not_understood(changes: dict[str, Any]) -> None:
    """A later version's checkpoint among them: it is not half understood."""
    assert Checkpoint.decode(orjson.dumps(content())) == CHECKPOINT

    assert Checkpoint.decode(orjson.dumps(content(**changes))) is NOT_UNDERSTOOD


@pytest.mark.parametrize("name", ["version", "scope", "buffer", "acked", "delivered"])
def test_without_one_of_its_fields_it_is_not_understood(name: str) -> None:
    fields = content()
    del fields[name]

    assert Checkpoint.decode(orjson.dumps(fields)) is NOT_UNDERSTOOD


def test_people_can_read_when_it_was_written() -> None:
    written = json.loads(CHECKPOINT.encode(now=NOW))["written"]

    assert datetime.fromisoformat(written).timestamp() == int(NOW)


# --- where a run begins


def start(
    last: Checkpoint | None, namespace: str, *, source: str = "source", buffer: str = "buffer"
) -> Start:
    return resume(last, source_id=source, buffer=buffer).start(namespace)


@pytest.mark.parametrize(
    ("source", "buffer", "namespace", "expected"),
    [
        pytest.param("source", "buffer", "", Start("20"), id="same buffer: what it had acked"),
        pytest.param("source", "other", "", Start("10"), id="other buffer: what was delivered"),
        pytest.param("other", "buffer", "", Start(None, OLDEST), id="other server: the oldest"),
        pytest.param("other", "other", "", Start(None, OLDEST), id="other server and buffer"),
        pytest.param("source", "buffer", "shop", Start("20"), id="one of all namespaces"),
        pytest.param("source", "other", "shop", Start("10"), id="one of all, other buffer"),
    ],
)
def test_going_on_depends_on_server_buffer_and_namespace(
    source: str, buffer: str, namespace: str, expected: Start
) -> None:
    """An ack is not a delivery: what the old buffer still held may be gone with it."""
    assert start(CHECKPOINT, namespace, source=source, buffer=buffer) == expected


def test_only_the_first_run_of_all_lists_the_newest_revision() -> None:
    """Later the API server may hold states that came since, which a list of the newest skips."""
    assert start(None, "shop") == Start()
    for lost in (NOT_UNDERSTOOD, Checkpoint("source", "buffer"), Checkpoint("other", "buffer")):
        assert start(lost, "shop") == start(lost, "") == Start(list_at=OLDEST)


def test_a_namespace_goes_on_at_the_newer_one_of_its_own_position_and_the_cluster_s() -> None:
    """Numbers, not texts: 100 is newer than 20."""
    last = Checkpoint("source", "buffer", acked={"": "100", "shop": "20", "bank": "300"})

    assert start(last, "shop") == Start("100")
    assert start(last, "bank") == Start("300")
    assert start(last, "new") == Start("100")


def test_no_namespaces_make_a_cluster() -> None:
    """What came in the others up to there was never followed."""
    last = Checkpoint("source", "buffer", acked={"shop": "20", "bank": "300"}, started={"ads": "7"})

    assert start(last, "") == Start(list_at=OLDEST)
    assert start(last, "new") == Start(list_at=OLDEST)


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        ({"shop": "15"}, "15"),
        ({"": "9"}, "9"),
        ({"shop": "15", "": "9"}, "9"),
        ({"shop": "15", "": "100"}, "15"),
        ({"bank": "3"}, OLDEST),
    ],
    ids=str,
)
def test_a_first_list_that_came_to_nothing_begins_again_where_it_began(
    started: dict[str, str], expected: str
) -> None:
    last = Checkpoint("source", "buffer", started=started)

    assert start(last, "shop") == Start(list_at=expected)


def test_what_another_buffer_had_acked_is_not_taken_over() -> None:
    last = Checkpoint("source", "old", {"a": "20", "b": "30"}, {"a": "10"}, {"b": "5"})

    resumption = resume(last, source_id="source", buffer="new")

    assert resumption.kept == Checkpoint("source", "new", {"a": "10"}, {"a": "10"}, {"b": "5"})
    assert resumption.start("b") == Start(list_at="5")
    assert not resumption.problem


@pytest.mark.parametrize(
    ("last", "word"),
    [(NOT_UNDERSTOOD, "understood"), (Checkpoint("other", "buffer", {"": "9"}), "selector")],
)
def test_a_checkpoint_of_no_use_leaves_nothing_and_says_why(last: Checkpoint, word: str) -> None:
    resumption = resume(last, source_id="source", buffer="buffer")

    assert resumption.kept == Checkpoint("source", "buffer")
    assert word in resumption.problem


# --- what positions are valid for


def test_another_selector_or_url_is_another_source() -> None:
    sources = {
        source_id(server=server, field_selector=selector)
        for server in (None, "https://a", "https://b")
        for selector in (None, "type=Warning", "type=Normal")
    }

    assert len(sources) == 9


def test_the_same_settings_are_the_same_source_in_any_process() -> None:
    """It is compared with one that another version wrote."""
    assert source_id(server="https://a", field_selector=None) == "8db8907d59b9f6646a0d5518f7d6d30d"
