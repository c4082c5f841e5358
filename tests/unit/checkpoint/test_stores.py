"""Where the checkpoint is kept: what was saved last is loaded, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventrouter.checkpoint.contents import NOT_UNDERSTOOD, Checkpoint
from eventrouter.checkpoint.stores import FileCheckpoint, NoCheckpoint
from eventrouter.errors import CheckpointError, ConfigError

NOW = 1_750_000_000.25
CHECKPOINT = Checkpoint("source", "buffer", acked={"": "20"}, delivered={"": "10"})


def test_a_file_gives_back_what_was_saved_last(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    newer = Checkpoint("source", "buffer", acked={"": "30"}, delivered={"": "30"})

    FileCheckpoint(path).save(CHECKPOINT, now=NOW)
    FileCheckpoint(path).save(newer, now=NOW)

    assert FileCheckpoint(path).load() == newer
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_no_file_yet_is_no_checkpoint(tmp_path: Path) -> None:
    assert FileCheckpoint(tmp_path / "checkpoint").load() is None


def test_a_file_that_is_no_checkpoint_is_there_and_not_understood(tmp_path: Path) -> None:
    """Starting over repeats what the sink has already; refusing to start would lose."""
    path = tmp_path / "checkpoint"
    path.write_bytes(b'{"version": 1, "sco')

    assert FileCheckpoint(path).load() is NOT_UNDERSTOOD


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
        store.save(Checkpoint("source", "buffer"), now=NOW)

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
