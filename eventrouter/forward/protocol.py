"""The Fluent forward protocol as bytes: no socket, no clock.

Forward mode of the protocol's version 1. A chunk is `[tag, [[time, record], ...], {"chunk": id}]`
and is answered by `{"ack": id}`. Never PackedForward: Fluent Bit stores that unchecked, and one bad
byte hides every later record of its chunk file (plugins/in_forward/fw_prot.c).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import msgpack
from fluent.sender import EventTime

from eventrouter.errors import AckMismatch

# An ack has some 40 bytes. A peer that sends more before one is complete speaks another protocol.
_MAX_ACK_BYTES = 64 * 1024

_PAIR = b"\x92"  # fixarray of 2: one entry
_CHUNK = b"\x93"  # fixarray of 3: one chunk


def pack(value: object) -> bytes:
    """The value in msgpack."""
    packed: bytes = msgpack.packb(value)
    return packed


@lru_cache(maxsize=4096)
def entry_head(nanoseconds: int) -> bytes:
    """The bytes of an entry `[time, record]` before its record.

    The time is ext type 0 of two big-endian 32-bit words, seconds and nanoseconds. Cached, because
    most events carry whole seconds and come in bursts.
    """
    return _PAIR + pack(EventTime.from_unix_nano(nanoseconds))


def encode(tag: str, entries: Sequence[bytes], *, chunk_id: str) -> bytes:
    """The bytes of one chunk. Without entries it is acked and outputs nothing."""
    return b"".join(
        (_CHUNK, pack(tag), _array_header(len(entries)), *entries, pack({"chunk": chunk_id}))
    )


def _array_header(length: int) -> bytes:
    if length < 16:
        return bytes((0x90 | length,))
    return (
        struct.pack(">BH", 0xDC, length) if length < 1 << 16 else struct.pack(">BI", 0xDD, length)
    )


class AckReader:
    """Reads the receiver's answers, split anywhere, as the chunk ids that it acked."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(max_buffer_size=_MAX_ACK_BYTES)

    def feed(self, data: bytes) -> list[str]:
        """The ids completed by these bytes, in order. Raises AckMismatch at any other answer."""
        try:
            self._unpacker.feed(data)
            answers = list(self._unpacker)
        except (ValueError, msgpack.UnpackException) as error:
            raise AckMismatch(f"the receiver's answer is not msgpack: {error}") from error
        return [_chunk_id_of(answer) for answer in answers]


def _chunk_id_of(answer: object) -> str:
    chunk_id = answer.get("ack") if isinstance(answer, dict) else None
    if not isinstance(chunk_id, str):
        raise AckMismatch(
            "the receiver answered something else than an ack; is it a forward input?"
        )
    return chunk_id
