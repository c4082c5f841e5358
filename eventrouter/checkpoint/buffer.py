"""The sidecar's disk buffer, seen from outside: its identity, and the chunk files that it holds.

Fluent Bit keeps each chunk in a file under `storage.path`, in a folder for each input, and deletes
it when every output is done with it. Its chunk metrics lag behind, so the files are what tells.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import Protocol

from eventrouter.errors import BufferUnseen, ConfigError

_MARKER = "eventrouter-buffer-id"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# The folder of an input is its plugin's name and a number, whatever its alias: forward.0, and
# emitter.1 for the chunks of rewrite_tag. Nothing else there looks so: not the folder of rejected
# chunks (storage.rejected.path), an s3 output's store_dir or a file system's lost+found.
_INPUT_FOLDER = re.compile(r"[A-Za-z0-9_-]+\.[0-9]+")
# The queue of the optional outputs (fluent/optional.yaml). Its chunks are copies of ours that an
# output may drop, so that no position waits for them.
_OPTIONAL_FOLDER = "forward.1"
# <pid>-<seconds>.<nanoseconds>.flb, nanoseconds without leading zeros.
_CHUNK_NAME = re.compile(r"[0-9]+-([0-9]+)\.([0-9]{1,9})\.flb")

# A chunk file: 22 bytes of head, two that say how long its metadata is, the metadata, the content
# (chunkio, cio_file_st.h). It grows by pages of zeros, and no content begins with a zero.
_LENGTH_AT, _METADATA_AT = 22, 24
_PAGE_BYTES = 4096
# The metadata: magic bytes, a type and flags, then the tag (flb_input_chunk.c).
_TAG_AT, _MAGIC = 4, b"\xf1\x77"


class Buffer(Protocol):
    """A buffer and its chunks, each by its name. All but `identity` may raise BufferUnseen."""

    @property
    def identity(self) -> str:
        """Names the buffer with all that it holds: in another one, what was acked may be gone."""
        ...

    @property
    def is_visible(self) -> bool:
        """Whether chunks can be seen at all."""
        ...

    def chunks(self) -> list[str]:
        """All chunks, optional ones too. Some may be empty, and wait for nothing."""
        ...

    def is_there(self, chunk: str) -> bool:
        """Whether a chunk has not left the buffer yet."""
        ...

    def has_content(self, chunk: str) -> bool:
        """Whether a chunk is still there and anything was written into it."""
        ...

    def tag(self, chunk: str) -> str:
        """The tag of a chunk's records; empty where it cannot be read."""
        ...


class NoBuffer:
    """A buffer that cannot be seen: the ack is all there is, and counts as delivered."""

    identity = "none"
    is_visible = False

    def chunks(self) -> list[str]:
        return []

    def is_there(self, chunk: str) -> bool:
        return False

    def has_content(self, chunk: str) -> bool:
        return False

    def tag(self, chunk: str) -> str:
        return ""


class FluentBitBuffer:
    """Fluent Bit's `storage.path`, mounted here as well. Raises ConfigError if it cannot be used.

    The identity is a random id in a marker file, which Fluent Bit leaves alone, with the
    kernel's boot id: an ack is in the page cache, so it outlives every process but no power cut.
    """

    is_visible = True

    def __init__(self, path: Path, *, boot_id: Path = _BOOT_ID) -> None:
        self._path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            marker_id = self._read_or_write_marker()
            boot = boot_id.read_text().strip() if boot_id.exists() else "unknown"
        except OSError as error:
            raise ConfigError("--buffer-path", f"cannot use {path}: {error}") from error
        self.identity = f"{marker_id}/{boot}"

    def chunks(self) -> list[str]:
        """The chunks of all inputs. A buffer that is gone or has no folder is not an empty one."""
        try:
            os.stat(self._path / _MARKER)
        except OSError as error:
            raise BufferUnseen(
                f"the buffer {self._path} is not there any more (see --buffer-path): {error}",
                reason="missing",
            ) from error
        return chunks_in(self._path)

    def is_there(self, chunk: str) -> bool:
        try:
            os.stat(self._path / chunk)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unseen(self._path, error) from error
        return True

    def has_content(self, chunk: str) -> bool:
        return has_content(self._path / chunk)

    def tag(self, chunk: str) -> str:
        return tag_of(self._path / chunk)

    def _read_or_write_marker(self) -> str:
        marker = self._path / _MARKER
        if not marker.exists() or not marker.read_text().strip():
            new = marker.with_suffix(".new")
            new.write_text(uuid.uuid4().hex)
            new.replace(marker)
        return marker.read_text().strip()


def chunks_in(path: Path) -> list[str]:
    """The chunks of all inputs under a `storage.path`, as folder/file. Raises BufferUnseen."""
    try:
        folders = [name for name in os.listdir(path) if _INPUT_FOLDER.fullmatch(name)]
        if not set(folders) - {_OPTIONAL_FOLDER}:
            raise BufferUnseen(
                f"{path} holds no input's folder such as forward.0: it must be Fluent Bit's"
                " storage.path (see --buffer-path), and its input needs storage.type filesystem",
                reason="missing",
            )
        return [
            f"{folder}/{file.name}"
            for folder in folders
            for file in os.scandir(path / folder)
            if file.name.endswith(".flb")
        ]
    except OSError as error:
        raise _unseen(path, error) from error


def is_optional(chunk: str) -> bool:
    """Whether a chunk is in the queue of the optional outputs, which may drop it."""
    return chunk.startswith(f"{_OPTIONAL_FOLDER}/")


def begun(chunk: str) -> float | None:
    """When a chunk was begun, in seconds since 1970; None if its name does not say so."""
    match = _CHUNK_NAME.fullmatch(chunk.rpartition("/")[2])
    return None if match is None else int(match[1]) + int(match[2]) / 1e9


def has_content(file: Path) -> bool:
    """Whether a chunk file is there and anything was written into it. Raises BufferUnseen.

    A Fluent Bit whose disk was full keeps chunks that it began and got nothing into, for as long
    as it runs. What is acknowledged was written before.
    """
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size > _PAGE_BYTES:
                return True
            head = opened.read(_PAGE_BYTES)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unseen(file.parent, error) from error
    content_at = _METADATA_AT + int.from_bytes(head[_LENGTH_AT:_METADATA_AT])
    return len(head) > content_at and head[content_at] != 0


def tag_of(file: Path) -> str:
    """The tag of a chunk file's records; empty where it cannot be read."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_PAGE_BYTES)
    except OSError:
        return ""
    length = int.from_bytes(head[_LENGTH_AT:_METADATA_AT])
    metadata = head[_METADATA_AT : _METADATA_AT + length]
    if metadata.startswith(_MAGIC):
        metadata = metadata[_TAG_AT:]
    return metadata.partition(b"\0")[0].decode(errors="replace")


def _unseen(path: Path, error: OSError) -> BufferUnseen:
    return BufferUnseen(
        f"cannot look into the sidecar's buffer {path} (see --buffer-path): {error}", reason="io"
    )
