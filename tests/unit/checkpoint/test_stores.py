"""The checkpoint: read back as it was written, and never the reason that a start fails."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.checkpoint.stores import LOST, Checkpoint, FileCheckpoint, NoCheckpoint
from eventrouter.errors import CheckpointError, ConfigError
from tests.support.values import json_values

positions = st.dictionaries(st.text(max_size=9), st.integers(0, 2**63).map(str), max_size=3)
checkpoints = st.builds(
    Checkpoint, st.text(max_size=9), st.text(max_size=9), acked=positions, delivered=positions
)
NOW = 1_750_000_000.25
CHECKPOINT = Checkpoint("scope", "buffer", acked={"": "20"}, delivered={"": "10"})


# --- its contents


@given(checkpoints, st.floats(0, 4e9))
def test_what_is_encoded_is_decoded(checkpoint: Checkpoint, now: float) -> None:
    assert Checkpoint.decode(checkpoint.encode(now=now)) == checkpoint


@given(st.binary(max_size=80))
def test_any_bytes_are_a_checkpoint_or_none(data: bytes) -> None:
    assert isinstance(Checkpoint.decode(data), Checkpoint | None)


def content(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(CHECKPOINT.encode(now=NOW))
    return fields | changes


@given(
    st.sampled_from(["version", "scope", "buffer", "acked", "delivered", "written", "more"]),
    json_values,
)
def test_any_damage_to_a_field_gives_a_whole_checkpoint_or_none(name: str, value: Any) -> None:
    """Nothing in it may surprise whoever goes on from it."""
    data = json.dumps(content(**{name: value})).encode()

    checkpoint = Checkpoint.decode(data)

    if checkpoint is not None:
        assert isinstance(checkpoint.scope, str)
        assert isinstance(checkpoint.buffer, str)
        for place in (checkpoint.acked, checkpoint.delivered):
            assert all(isinstance(key, str) for key in place)
            assert all(int(position) >= 0 for position in place.values())


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
    ],
    ids=str,
)
def test_what_is_not_of_this_format_is_none(changes: dict[str, Any]) -> None:
    """A later version's checkpoint among them: it is not half understood."""
    assert Checkpoint.decode(orjson.dumps(content())) == CHECKPOINT

    assert Checkpoint.decode(orjson.dumps(content(**changes))) is None


@pytest.mark.parametrize("name", ["version", "scope", "buffer", "acked", "delivered"])
def test_a_field_that_is_missing_makes_it_none(name: str) -> None:
    fields = content()
    del fields[name]

    assert Checkpoint.decode(orjson.dumps(fields)) is None


def test_people_can_read_when_it_was_written() -> None:
    written = json.loads(CHECKPOINT.encode(now=NOW))["written"]

    assert datetime.fromisoformat(written).timestamp() == int(NOW)


@pytest.mark.parametrize(
    ("scope", "buffer", "namespace", "expected"),
    [
        pytest.param("scope", "buffer", "", "20", id="same buffer: what it had acked"),
        pytest.param("scope", "other", "", "10", id="other buffer: what was delivered"),
        pytest.param("other", "buffer", "", None, id="other server: nothing"),
        pytest.param("other", "other", "", None, id="other server and buffer: nothing"),
        pytest.param("scope", "buffer", "shop", None, id="other namespace: nothing"),
        pytest.param("scope", "other", "shop", None, id="other namespace and buffer: nothing"),
    ],
)
def test_going_on_depends_on_server_buffer_and_namespace(
    scope: str, buffer: str, namespace: str, expected: str | None
) -> None:
    """An ack is not a delivery: what the old buffer still held may be gone with it."""
    assert CHECKPOINT.resume_at(namespace, scope=scope, buffer=buffer) == expected


# --- its file


def test_a_file_gives_back_what_was_saved_last(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    newer = Checkpoint("scope", "buffer", acked={"": "30"}, delivered={"": "30"})

    FileCheckpoint(path).save(CHECKPOINT, now=NOW)
    FileCheckpoint(path).save(newer, now=NOW)

    assert FileCheckpoint(path).load() == newer
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_no_file_yet_is_no_checkpoint(tmp_path: Path) -> None:
    assert FileCheckpoint(tmp_path / "checkpoint").load() is None


def test_a_file_that_is_no_checkpoint_counts_as_lost_and_is_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Starting over repeats what the sink has already; refusing to start would lose."""
    path = tmp_path / "checkpoint"
    path.write_bytes(b'{"version": 1, "sco')

    with caplog.at_level(logging.WARNING):
        checkpoint = FileCheckpoint(path).load()

    assert checkpoint is LOST
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_crash_while_writing_leaves_the_old_one(tmp_path: Path) -> None:
    """As much of the new one as was written lies beside it and does no harm."""
    path = tmp_path / "checkpoint"
    store = FileCheckpoint(path)
    store.save(CHECKPOINT, now=NOW)
    path.with_name("checkpoint.new").write_bytes(b'{"version": 1, "sco')

    assert FileCheckpoint(path).load() == CHECKPOINT
    store.save(CHECKPOINT, now=NOW)
    assert FileCheckpoint(path).load() == CHECKPOINT


def test_a_file_that_cannot_be_written_is_an_error_and_the_old_one_stays(tmp_path: Path) -> None:
    """Also when it is the disk, and not the file's name, that fails half-way."""
    path = tmp_path / "checkpoint"
    store = FileCheckpoint(path)
    store.save(CHECKPOINT, now=NOW)
    path.with_name("checkpoint.new").mkdir()

    with pytest.raises(CheckpointError, match="cannot write"):
        store.save(Checkpoint("scope", "buffer"), now=NOW)

    assert store.load() == CHECKPOINT


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Not the same as none: starting over because of a hiccup would be a surprise."""
    path = tmp_path / "checkpoint"
    store = FileCheckpoint(path)
    path.mkdir()

    with pytest.raises(CheckpointError, match="cannot read"):
        store.load()


@pytest.mark.parametrize("place", ["missing/checkpoint", "folder"])
def test_a_place_that_cannot_take_a_file_is_a_bad_setting(tmp_path: Path, place: str) -> None:
    """Told at the start, not at the first write."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(ConfigError, match="--checkpoint"):
        FileCheckpoint(tmp_path / place)


def test_a_file_in_the_working_folder_needs_no_folder_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    FileCheckpoint(Path("checkpoint")).save(CHECKPOINT, now=NOW)

    assert FileCheckpoint(tmp_path / "checkpoint").load() == CHECKPOINT


def test_kept_nowhere_it_is_never_there() -> None:
    store = NoCheckpoint()

    store.save(CHECKPOINT, now=NOW)

    assert store.load() is None
