"""Reads what OTLP exporters of logs send: protobuf's wire format, and the few messages of logs/v1.

Strict: an unknown wire type or a text that is no UTF-8 raises ValueError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record: its time, its body, and its attributes with what is in them."""

    time_unix_nano: int
    body: Any
    attributes: dict[str, Any]


def log_records(request: bytes) -> list[LogRecord]:
    """The records of an ExportLogsServiceRequest."""
    return [
        _record(record)
        for resource_logs in _all(request, 1)
        for scope_logs in _all(resource_logs, 2)
        for record in _all(scope_logs, 2)
    ]


def _record(data: bytes) -> LogRecord:
    bodies = _all(data, 5)
    return LogRecord(
        time_unix_nano=next(int.from_bytes(raw, "little") for raw in _all(data, 1)),
        body=_value(bodies[0]) if bodies else None,
        attributes=dict(_key_value(pair) for pair in _all(data, 6)),
    )


def _key_value(data: bytes) -> tuple[str, Any]:
    (key,) = _all(data, 1)
    values = _all(data, 2)
    return key.decode(), _value(values[0]) if values else None


def _value(data: bytes) -> Any:
    """An AnyValue; one without a field is null."""
    for field, raw in _fields(data):
        if field == 1:
            return raw.decode()
        if field == 2:
            return bool(_varint(raw, 0)[0])
        if field == 3:
            return _varint(raw, 0)[0]
        if field == 4:
            return struct.unpack("<d", raw)[0]
        if field == 5:
            return [_value(item) for item in _all(raw, 1)]
        if field == 6:
            return dict(_key_value(pair) for pair in _all(raw, 1))
        raise ValueError(f"no AnyValue has a field {field}")
    return None


def _all(data: bytes, wanted: int) -> list[bytes]:
    return [raw for field, raw in _fields(data) if field == wanted]


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        field, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            end = _varint(data, position)[1]
        elif wire_type == 1:
            end = position + 8
        elif wire_type == 2:
            length, position = _varint(data, position)
            end = position + length
        elif wire_type == 5:
            end = position + 4
        else:
            raise ValueError(f"there is no wire type {wire_type}")
        if end > len(data):
            raise ValueError("a field goes beyond its message")
        yield field, data[position:end]
        position = end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if not byte & 0x80:
            return number, position
        shift += 7
