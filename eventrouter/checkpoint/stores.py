"""The checkpoint: where to go on after a restart. Its contents, and the file that keeps them."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import orjson

from eventrouter.errors import CheckpointError, ConfigError

log = logging.getLogger(__name__)

FORMAT_VERSION = 1

# By namespace ("" for the whole cluster).
ResourceVersions = dict[str, str]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Two positions for each namespace ("" is the whole cluster): an ack is not a delivery.

    `acked`: up to here everything is in the sidecar's buffer, good for going on with the same
    buffer. `delivered`: up to here everything has left that buffer too, good for going on with
    any. `started`, until there is a `delivered`: where the first list began, to begin there again.
    `scope` says what resourceVersions these are: which server, which selector.
    """

    scope: str
    buffer: str
    acked: ResourceVersions = field(default_factory=dict)
    delivered: ResourceVersions = field(default_factory=dict)
    started: ResourceVersions = field(default_factory=dict)

    def resume_at(self, namespace: str, *, scope: str, buffer: str) -> str | None:
        """The resourceVersion to go on from; None where there is none to go on from."""
        if scope != self.scope:
            return None
        positions = self.acked if buffer == self.buffer else self.delivered
        return positions.get(namespace)

    def encode(self, *, now: float) -> bytes:
        """As JSON, with the time for whoever reads it."""
        written = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        return orjson.dumps({"version": FORMAT_VERSION, "written": written} | asdict(self))

    @classmethod
    def decode(cls, data: bytes) -> Checkpoint | None:
        """None for anything that is not a checkpoint of this format."""
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
            return None
        scope, buffer = content.get("scope"), content.get("buffer")
        acked, delivered = content.get("acked"), content.get("delivered")
        if not (isinstance(scope, str) and isinstance(buffer, str)):
            return None
        started = content.get("started", {})
        if not (_are_positions(acked) and _are_positions(delivered) and _are_positions(started)):
            return None
        return cls(scope, buffer, acked, delivered, started)


# Stands for a checkpoint that cannot be understood. Where the last run was nobody knows, so the
# next one begins at the oldest revision that the API server still has.
LOST = Checkpoint(scope="", buffer="")


def _are_positions(value: Any) -> TypeGuard[ResourceVersions]:
    return isinstance(value, dict) and all(
        isinstance(position, str) and position.isdecimal() for position in value.values()
    )


class CheckpointWriter(Protocol):
    """Keeps the checkpoint somewhere. May raise CheckpointError."""

    def save(self, checkpoint: Checkpoint, *, now: float) -> None: ...


class NoCheckpoint:
    """Kept nowhere: every start lists everything again."""

    def load(self) -> Checkpoint | None:
        return None

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        pass


class FileCheckpoint:
    """A file, replaced as a whole: a crash leaves the old one or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not os.access(path.parent, os.W_OK) or path.is_dir():
            raise ConfigError(
                "--checkpoint", f"cannot write {path}: is its folder there and writable?"
            )

    def load(self) -> Checkpoint | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"cannot read the checkpoint {self._path}: {error}") from error
        checkpoint = Checkpoint.decode(data)
        if checkpoint is None:
            log.warning(
                "The checkpoint cannot be understood: starting over",
                extra={"path": str(self._path)},
            )
            return LOST
        return checkpoint

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("wb") as file:
                file.write(checkpoint.encode(now=now))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise CheckpointError(f"cannot write the checkpoint {self._path}: {error}") from error
