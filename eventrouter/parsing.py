"""JSON off the wire, strict where it is fast and lenient where it must be. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from eventrouter.errors import BadLine


def parse_watch_event(line: bytes) -> tuple[str, dict[str, Any]]:
    """The type and the object of a watch line. Raises BadLine if it is no such thing."""
    event = _parse(line)
    if type(event) is dict:
        kind, obj = event.get("type"), event.get("object")
        if type(kind) is str and type(obj) is dict:
            return kind, obj
    raise BadLine(f"the API server sent a line that is no watch event: {line[:80]!r}")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises BadLine if it is none."""
    value = _parse(body)
    if isinstance(value, dict):
        return value
    raise BadLine(f"the API server answered with no JSON object: {body[:80]!r}")


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        # What orjson refuses and JSON's grammar knows: lone surrogates, NaN, bad UTF-8.
        return json.loads(
            data.decode("utf-8", "replace"), parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:
        raise BadLine(f"the API server sent what cannot be read ({error}): {data[:80]!r}") from None


def _finite(text: str) -> float | None:
    """NaN, infinity and what overflows to it are null: no JSON further on could say them."""
    value = float(text)
    return value if math.isfinite(value) else None
