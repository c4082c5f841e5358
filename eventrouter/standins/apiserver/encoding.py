"""JSON to bytes and back: fast where orjson can, complete where it refuses."""

from __future__ import annotations

import json
from typing import Any

import orjson


def encode(value: object) -> bytes:
    """The JSON of `value`, as few bytes as possible. Lone surrogates come out as `\\ud800`."""
    try:
        # A copy: orjson's own result keeps the whole buffer it was written to, some 8 kB for 1 kB.
        return bytes(memoryview(orjson.dumps(value)))
    except TypeError:  # orjson holds to UTF-8 and to 64-bit integers; the API server takes more
        return json.dumps(value, separators=(",", ":")).encode()


def decode(data: bytes) -> Any:
    """The value of some JSON, also of JSON that orjson finds wrong."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)
