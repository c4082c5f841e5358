"""Which chunk files of Fluent Bit's buffer count as not delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventrouter.checkpoint.buffer import FluentBitBuffer
from tests.support.chunks import PAGE_BYTES, chunk_file, put_chunk


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        (chunk_file(content=b"\x92\x92\xd7\0"), True),
        (chunk_file(content=b"\x92" * 3 * PAGE_BYTES), True),
        (chunk_file(metadata=b"", content=b"\x92"), True),
        (chunk_file(metadata=b"m" * (PAGE_BYTES - 24), content=b"\x92"), True),
        (chunk_file(), False),
        (chunk_file(metadata=b""), False),
        (bytes(PAGE_BYTES), False),
        (b"", False),
        (b"\xc1\0", False),
    ],
)
def test_a_chunk_counts_once_something_was_written_into_it(
    tmp_path: Path, file: bytes, counts: bool
) -> None:
    """A full disk leaves files without content, which no flush ever takes away."""
    buffer = FluentBitBuffer(tmp_path)
    (tmp_path / "forward.0").mkdir()
    (tmp_path / "forward.0" / "1-1.flb").write_bytes(file)

    assert buffer.chunks() == ({"forward.0/1-1.flb"} if counts else set())


def test_only_the_chunks_of_forward_inputs_count(tmp_path: Path) -> None:
    buffer = FluentBitBuffer(tmp_path)
    for name in ("forward.0/1.flb", "forward.1/2.flb", "forward.0/3.tmp", "tail.0/4.flb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put_chunk(tmp_path / name)

    assert buffer.chunks() == {"forward.0/1.flb", "forward.1/2.flb"}


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    buffer = FluentBitBuffer(tmp_path)
    (tmp_path / "forward.0").write_text("not a folder")

    with pytest.raises(OSError, match=r"forward\.0"):
        buffer.chunks()
