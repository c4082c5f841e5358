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

# A chunk file: 22 bytes of head, two that say how long its metadata is, the metadata, the content
# (chunkio, cio_file_st.h). It grows by pages of zeros, and no content begins with a zero.
_LENGTH_AT, _METADATA_AT = 22, 24
_PAGE_BYTES = 4096


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
            f"{folder}/{entry.name}"
            for folder in os.listdir(self._path)
            if folder.startswith("forward.")
            for entry in os.scandir(self._path / folder)
            if entry.name.endswith(".flb") and _has_content(entry)
        )

    def _read_or_write_marker(self) -> str:
        marker = self._path / _MARKER
        if not marker.exists() or not marker.read_text().strip():
            new = marker.with_suffix(".new")
            new.write_text(uuid.uuid4().hex)
            new.replace(marker)
        return marker.read_text().strip()


def _has_content(chunk: os.DirEntry[str]) -> bool:
    """Whether anything was ever written into it.

    A Fluent Bit whose disk was full keeps chunks that it began and got nothing into, for as long
    as it runs. What is acknowledged was written before.
    """
    try:
        if chunk.stat().st_size > _PAGE_BYTES:
            return True
        head = Path(chunk.path).read_bytes()
    except FileNotFoundError:  # delivered just now
        return False
    content_at = _METADATA_AT + int.from_bytes(head[_LENGTH_AT:_METADATA_AT])
    return len(head) > content_at and head[content_at] != 0
