"""Values of every shape that JSON can have, and how msgpack reads them back."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import strategies as st


def nested(levels: int) -> Any:
    """So many containers within each other, dicts and lists by turns."""
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def depth(value: Any) -> int:
    """How many containers stand within each other. Not recursive: a test may go deep."""
    deepest = 0
    waiting = [(value, 1)]
    while waiting:
        outer, level = waiting.pop()
        if isinstance(outer, dict | list):
            deepest = max(deepest, level)
            inners = outer.values() if isinstance(outer, dict) else outer
            waiting.extend((inner, level + 1) for inner in inners)
    return deepest


def unpack(data: bytes) -> Any:
    """What msgpack makes of it, as strictly as it can."""
    return msgpack.unpackb(data, raw=False, strict_map_key=True)


# Lone surrogates too: JSON's grammar has them, and neither orjson nor msgpack takes them.
texts = st.text(max_size=12) | st.text(alphabet='\ud800\udbff\udc00\udfff\x00"\\a…😀', max_size=6)
integers = st.integers(-(2**63), 2**63 - 1)
# At 64 bits and past them.
huge_integers = st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63) - 1, -(2**64), 10**40])
scalars = st.one_of(st.none(), st.booleans(), integers, huge_integers, st.floats(), texts)


def containers_of(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A leaf, or lists and objects of them within each other."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=6,
    )


json_values = containers_of(scalars) | st.integers(1, 60).map(nested)
