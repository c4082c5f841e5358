"""Where the checkpoint is kept: in a file or nowhere; election.py keeps it in a Lease."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from eventrouter.checkpoint.contents import Checkpoint
from eventrouter.errors import CheckpointError, ConfigError


class CheckpointStore(Protocol):
    """Keeps the checkpoint. `save` returns once it is written durably; raises CheckpointError."""

    def save(self, checkpoint: Checkpoint, *, now: float) -> None: ...


class NoCheckpoint:
    """Kept nowhere: every start lists all events again."""

    def load(self) -> Checkpoint | None:
        """None."""
        return None

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        """Do nothing."""


class FileCheckpoint:
    """A file, replaced as a whole: a crash leaves the old one or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not os.access(path.parent, os.W_OK) or path.is_dir():
            raise ConfigError(
                "--checkpoint", f"cannot write {path}: is its folder there and writable?"
            )

    def load(self) -> Checkpoint | None:
        """The one saved last; None if there is none. Raises CheckpointError."""
        try:
            return Checkpoint.decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"cannot read the checkpoint {self._path}: {error}") from error

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        """Replace the file. Raises CheckpointError."""
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("wb") as file:
                file.write(checkpoint.encode(now=now))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise CheckpointError(f"cannot write the checkpoint {self._path}: {error}") from error
