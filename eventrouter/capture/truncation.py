"""Cuts an Event that cannot be sent whole, so that it never holds up the others. Pure.

A real API server sends no such Event; a damaged stream, another server behind the same address, or
a later API may.
"""

from __future__ import annotations

import math
from typing import Any

# Fluent Bit's msgpack reader gives up at 32 levels and closes the connection without an ack; the
# frame and the record take four. Elasticsearch's dynamic mapping gives up at 20. A real event
# uses four (metadata.ownerReferences).
MAX_DEPTH = 16

_INTEGERS = range(-(2**63), 2**64)
# A shortened container keeps so many items, more than an Event has fields. With the least of
# KEPT_CHARACTERS no shortened Event is larger than 2 MB.
_KEPT_ITEMS = 24
KEPT_CHARACTERS = (32 * 1024, 1024, 16)


def is_deep(value: dict[str, Any]) -> bool:
    """Whether containers nest deeper than MAX_DEPTH."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def make_plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The same value, fit for msgpack and Fluent Bit.

    Deeper containers become the text "…", halves of surrogate pairs U+FFFD, integers over
    64 bits text, and numbers that JSON does not have null.
    """
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        if depth == 0:
            return "…"
        return {make_plain(str(key)): make_plain(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [make_plain(inner, depth - 1) for inner in value] if depth else "…"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value not in _INTEGERS:
        # Python refuses to write thousands of decimal digits.
        return str(value) if value.bit_length() < 1000 else f"{value:#x}"
    return value


def shorten(value: Any, characters: int, depth: int = 3) -> Any:
    """The same value with at most so many characters a text and _KEPT_ITEMS a container.

    Containers within containers within containers become "…". The first items are kept, which
    in an Event are those that name it.
    """
    if isinstance(value, str):
        return value if len(value) <= characters else value[:characters] + "…"
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, list):
        return [shorten(inner, characters, depth - 1) for inner in value[:_KEPT_ITEMS]]
    return {
        shorten(key, characters): shorten(inner, characters, depth - 1)
        for key, inner in list(value.items())[:_KEPT_ITEMS]
    }
