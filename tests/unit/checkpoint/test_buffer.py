"""Which chunk files of Fluent Bit's buffer count as not delivered, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventrouter.checkpoint.buffer import FluentBitBuffer, NoBuffer, begun, is_optional
from eventrouter.errors import BufferUnseen
from tests.support.chunks import PAGE_BYTES, chunk_file, put_chunk

CHUNK = "forward.0/1-1.flb"


def buffer_with(tmp_path: Path, file: bytes) -> FluentBitBuffer:
    (tmp_path / "forward.0").mkdir()
    (tmp_path / CHUNK).write_bytes(file)
    return FluentBitBuffer(tmp_path)


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
    buffer = buffer_with(tmp_path, file)

    assert buffer.chunks() == [CHUNK]
    assert buffer.is_there(CHUNK)
    assert buffer.has_content(CHUNK) is counts


def test_a_chunk_that_has_left_is_not_there(tmp_path: Path) -> None:
    buffer = buffer_with(tmp_path, chunk_file(content=b"\x92"))
    (tmp_path / CHUNK).unlink()

    assert not buffer.is_there(CHUNK)
    assert not buffer.has_content(CHUNK)


def test_the_chunks_of_every_input_count_and_no_other_file(tmp_path: Path) -> None:
    """Not the rejected ones, whatever their folder is called, nor what an s3 output stores."""
    buffer = FluentBitBuffer(tmp_path)
    for name in (
        "forward.0/1.flb",
        "forward.1/2.flb",
        "emitter.2/3.flb",
        "tail.10/4.flb",
        "forward.0/5.tmp",
        "rejected/kube.events.normal_400_http.0_0x7f6e17e37980.flb",
        "dead-letters/6.flb",
        "s3/7.flb",
        "lost+found/8.flb",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put_chunk(tmp_path / name)

    assert sorted(buffer.chunks()) == [
        "emitter.2/3.flb",
        "forward.0/1.flb",
        "forward.1/2.flb",
        "tail.10/4.flb",
    ]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    buffer = FluentBitBuffer(tmp_path)
    (tmp_path / "forward.0").write_text("not a folder")

    with pytest.raises(BufferUnseen, match=r"forward\.0") as caught:
        buffer.chunks()
    with pytest.raises(BufferUnseen, match=r"forward\.0"):
        buffer.is_there(CHUNK)
    with pytest.raises(BufferUnseen, match=r"forward\.0"):
        buffer.has_content(CHUNK)
    assert caught.value.reason == "io"


def test_only_the_second_input_is_the_optional_outputs_queue() -> None:
    """fluent/optional.yaml is included right after the pipeline, so it is always this one."""
    assert is_optional("forward.1/1-1.flb")
    assert not is_optional("forward.0/1-1.flb")
    assert not is_optional("forward.10/1-1.flb")
    assert not is_optional("emitter.1/1-1.flb")


@pytest.mark.parametrize("folder", [None, "rejected", "forward.1"])
def test_a_buffer_without_an_input_s_folder_is_not_an_empty_one(
    tmp_path: Path, folder: str | None
) -> None:
    """Fluent Bit makes its folder when it starts, so this is another path, or memory alone."""
    buffer = FluentBitBuffer(tmp_path)
    if folder is not None:
        (tmp_path / folder).mkdir()

    with pytest.raises(BufferUnseen, match=r"storage\.type") as caught:
        buffer.chunks()
    assert caught.value.reason == "missing"


def test_a_buffer_that_was_replaced_is_not_an_empty_one(tmp_path: Path) -> None:
    """Its new folder is empty, and what the old one held is not known."""
    buffer = buffer_with(tmp_path, chunk_file(content=b"\x92"))
    for path in (tmp_path / CHUNK, *tmp_path.glob("eventrouter*")):
        path.unlink()

    with pytest.raises(BufferUnseen, match="--buffer-path") as caught:
        buffer.chunks()
    assert caught.value.reason == "missing"


def test_its_identity_changes_with_the_marker_and_with_the_boot(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    boot = tmp_path / "boot_id"
    boot.write_text("first\n")
    identity = FluentBitBuffer(one, boot_id=boot).identity

    assert FluentBitBuffer(one, boot_id=boot).identity == identity
    assert FluentBitBuffer(other, boot_id=boot).identity != identity
    boot.write_text("second\n")
    assert FluentBitBuffer(one, boot_id=boot).identity != identity


@pytest.mark.parametrize(
    ("metadata", "tag"),
    [
        (b"\xf1\x77\0\0kube.events.warning", "kube.events.warning"),
        (b"\xf1\x77\0\x01kube.events.warning\0\x02routes", "kube.events.warning"),
        (b"kube.events.other", "kube.events.other"),
        (b"", ""),
        (b"\xf1\x77\0\0\xff", "\ufffd"),
    ],
)
def test_a_chunk_s_head_says_its_tag(tmp_path: Path, metadata: bytes, tag: str) -> None:
    buffer = buffer_with(tmp_path, chunk_file(metadata=metadata, content=b"\x92"))

    assert buffer.tag(CHUNK) == tag
    assert buffer.tag("forward.0/gone.flb") == ""


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("forward.0/8583-1795543046.57562873.flb", 1795543046.057562873),
        ("8583-1795543046.5.flb", 1795543046.000000005),
        ("forward.0/1-1.flb", None),
        ("forward.0/old.flb", None),
        ("forward.0/1-1795543046.1234567890.flb", None),
    ],
)
def test_a_chunk_s_name_says_when_it_was_begun(name: str, time: float | None) -> None:
    """<pid>-<seconds>.<nanoseconds>.flb, the nanoseconds without leading zeros."""
    assert begun(name) == time


def test_a_buffer_that_cannot_be_seen_has_nothing_to_wait_for() -> None:
    """The ack is all there is, and counts as delivered."""
    buffer = NoBuffer()

    assert buffer.chunks() == []
    assert not buffer.is_visible
    assert not buffer.is_there(CHUNK)
    assert not buffer.has_content(CHUNK)
    assert buffer.tag(CHUNK) == ""
