"""The sidecar's disk buffer, seen from outside: who it is, and which chunk files it holds.

Fluent Bit keeps each chunk in a file of the input's folder under `storage.path` and deletes it when
every output is done with it. Nothing else tells so soon and so surely: its chunk metrics lag.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Protocol

from eventrouter.errors import ConfigError

_MARKER = "eventrouter-buffer-id"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Buffer(Protocol):
    """What is asked of a buffer."""

    def identity(self) -> str:
        """Names the buffer and all that it still holds: with another identity, what was acked
        may be gone."""
        ...

    def chunks(self) -> frozenset[str]:
        """The chunks that are not delivered yet."""
        ...


class NoBuffer:
    """A buffer that cannot be seen: the ack is all there is, and counts as delivered."""

    def identity(self) -> str:
        return "none"

    def chunks(self) -> frozenset[str]:
        return frozenset()


class FluentBitBuffer:
    """Fluent Bit's `storage.path`, mounted here as well.

    The identity is a random id in a marker file, which Fluent Bit leaves alone, with the
    kernel's boot id: an ack is in the page cache, so it outlives every process but no power cut.
    """

    def __init__(self, path: Path, *, boot_id: Path = _BOOT_ID) -> None:
        self._path = path
        self._boot_id = boot_id
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._marker_id = self._read_or_write_marker()
        except OSError as error:
            raise ConfigError("--buffer-path", f"cannot use {path}: {error}") from error

    def identity(self) -> str:
        boot = self._boot_id.read_text().strip() if self._boot_id.exists() else "unknown"
        return f"{self._marker_id}/{boot}"

    def chunks(self) -> frozenset[str]:
        """Raises OSError where the folder cannot be read: that is not the same as an empty one."""
        # The input's folder is its name with a number, whatever its alias. Not Path.glob, which
        # takes what it may not read for empty.
        return frozenset(
            f"{folder}/{name}"
            for folder in os.listdir(self._path)
            if folder.startswith("forward.")
            for name in os.listdir(self._path / folder)
            if name.endswith(".flb")
        )

    def _read_or_write_marker(self) -> str:
        marker = self._path / _MARKER
        if not marker.exists() or not marker.read_text().strip():
            new = marker.with_suffix(".new")
            new.write_text(uuid.uuid4().hex)
            new.replace(marker)
        return marker.read_text().strip()
