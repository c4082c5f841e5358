"""Parse frames of the Fluent forward protocol by the rules of Fluent Bit's forward input. Pure.

The rules are those of Fluent Bit 5.1, in plugins/in_forward/fw_prot.c and
src/flb_log_event_decoder.c.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack

# msgpack-c's MSGPACK_EMBED_STACK_SIZE: so many containers may be nested, counting the frame.
MAX_DEPTH = 32
# The input's buffer_max_size in fluent/pipeline.yaml.
MAX_FRAME_BYTES = 8_000_000

_GZIP = b"\x1f\x8b"
_CONTAINERS: frozenset[type] = frozenset((dict, list))


class Malformed(Exception):
    """Not a frame that Fluent Bit takes. It closes the connection without an ack."""


class EventTime(NamedTuple):
    """The time of an entry."""

    seconds: int
    nanoseconds: int = 0


class Entry(NamedTuple):
    time: EventTime
    record: dict[str, Any]


class Frame(NamedTuple):
    """One frame. `chunk` is the id to acknowledge, None if the sender wants no ack.

    `problem` says what is wrong with the first entry that Fluent Bit does not take. It stores the
    entries before that one, which are in `entries`; then it closes the connection without an ack.
    """

    tag: str
    entries: list[Entry]
    chunk: str | None
    problem: str | None = None


class FrameReader:
    """Parses the bytes of one connection, split anywhere, into frames."""

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._unpacker = _unpacker(max_frame_bytes)
        self._fed = 0
        self._start = 0  # of the frame that is still to be completed

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. After Malformed, the reader cannot be used."""
        for at in range(0, len(data), self._max_frame_bytes):
            piece = data[at : at + self._max_frame_bytes]
            self._unpacker.feed(piece)
            self._fed += len(piece)
            yield from map(_frame, self._unpacked())
            self._limit(self._fed + 1)  # an unfinished frame needs at least one more byte

    def _unpacked(self) -> Iterator[Any]:
        while True:
            try:
                value = self._unpacker.unpack()
            except msgpack.OutOfData:
                return
            except (ValueError, TypeError, msgpack.UnpackException) as error:
                raise Malformed(f"not msgpack: {error}") from error
            self._limit(self._unpacker.tell())
            self._start = self._unpacker.tell()
            yield value

    def _limit(self, end: int) -> None:
        if end - self._start > self._max_frame_bytes:
            raise Malformed(f"a frame of more than {self._max_frame_bytes} bytes")


def _unpacker(max_bytes: int) -> msgpack.Unpacker:
    return msgpack.Unpacker(
        # An unfinished frame and the bytes that are fed after it.
        max_buffer_size=2 * max_bytes,
        ext_hook=_extension,
        strict_map_key=False,
        unicode_errors="surrogateescape",  # a string may hold any bytes for Fluent Bit
    )


def _extension(code: int, data: bytes) -> object:
    if code == 0 and len(data) == 8:
        return EventTime(*struct.unpack(">II", data))
    return msgpack.ExtType(code, data)


def _frame(value: Any) -> Frame:
    if not isinstance(value, list) or len(value) < 2:
        raise Malformed("a frame is an array of at least two")
    if is_deeper(value, MAX_DEPTH):
        raise Malformed(f"more than {MAX_DEPTH} containers within each other")
    tag, body = value[:2]
    if not isinstance(tag, str):
        raise Malformed("the tag is not a string")
    if isinstance(body, list):
        return _collect(tag, body, _chunk(value, 2))
    if isinstance(body, str | bytes):
        payload = body if isinstance(body, bytes) else body.encode(errors="surrogateescape")
        return _packed(tag, payload, _chunk(value, 2))
    # Message mode: [tag, time, record, option]
    if len(value) < 3 or not isinstance(value[2], dict):
        raise Malformed("a message without a record")
    if isinstance(body, float):
        raise Malformed("the time of a message is not an integer or an EventTime")
    frame = _collect(tag, [value[1:3]], _chunk(value, 3))
    if frame.problem:
        raise Malformed(frame.problem)
    return frame


def _chunk(value: list[Any], at: int) -> str | None:
    option = value[at] if len(value) > at else None
    if option is None:  # absent, or nil, as an old Docker sends it
        return None
    chunk = option.get("chunk") if isinstance(option, dict) else 0
    if chunk is not None and not isinstance(chunk, str):
        raise Malformed("the option is not a map, or its chunk not a string")
    return chunk


def _packed(tag: str, payload: bytes, chunk: str | None) -> Frame:
    """A frame of PackedForward mode.

    Fluent Bit stores the payload unchecked and acknowledges it, so everything after a bad byte or a
    bad entry is lost.
    """
    if payload.startswith(_GZIP):
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            payload = inflate.decompress(payload, MAX_FRAME_BYTES)
        except zlib.error as error:
            raise Malformed(f"not gzip: {error}") from error
        if inflate.unconsumed_tail:
            raise Malformed(f"more than {MAX_FRAME_BYTES} bytes decompressed")
    unpacker = _unpacker(MAX_FRAME_BYTES)
    unpacker.feed(payload)
    entries: list[Any] = []
    try:
        entries.extend(unpacker)
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    return _collect(tag, entries, chunk)._replace(problem=None)


def _collect(tag: str, values: list[Any], chunk: str | None) -> Frame:
    entries: list[Entry] = []
    for value in values:
        if not isinstance(value, list) or len(value) != 2:
            return Frame(tag, entries, chunk, "an entry is not a pair")
        time, record = value
        if isinstance(time, list):  # [[time, metadata], record]
            if len(time) != 2 or not isinstance(time[1], dict):
                return Frame(tag, entries, chunk, "a header is not a time and a map")
            time = time[0]
        if time.__class__ is not EventTime:
            if not isinstance(time, int | float) or isinstance(time, bool) or time < 0:
                return Frame(tag, entries, chunk, "a time is not a time")
            time = EventTime(int(time), int(time % 1 * 10**9))
        if not isinstance(record, dict):
            return Frame(tag, entries, chunk, "a record is not a map")
        entries.append(Entry(time, record))
    return Frame(tag, entries, chunk)


def is_deeper(value: Any, limit: int) -> bool:
    """Whether more than `limit` containers that are not empty are nested."""
    level: list[Any] = [value] if value else []
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if outer.__class__ is dict else outer)
            if inner.__class__ in _CONTAINERS and inner
        ]
    return bool(level)
