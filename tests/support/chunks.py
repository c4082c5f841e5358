"""Chunk files, as Fluent Bit keeps them in its buffer."""

from __future__ import annotations

from pathlib import Path

PAGE_BYTES = 4096


def chunk_file(
    *, metadata: bytes = b"\xf1\x77\0\0kube.events.normal", content: bytes = b""
) -> bytes:
    """A chunk file of Fluent Bit as chunkio lays it out, padded to a page."""
    written = b"\xc1\0" + bytes(20) + len(metadata).to_bytes(2) + metadata + content
    return written + bytes(-len(written) % PAGE_BYTES)


def put_chunk(path: Path) -> Path:
    """A chunk file with something in it, there all at once."""
    new = path.with_suffix(".new")
    new.write_bytes(chunk_file(content=b"\x92\x92\xd7\0"))
    return new.replace(path)
