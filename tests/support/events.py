"""What the tests feed in: an event as the API gives it, and values of every shape JSON can have."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import msgpack
import msgspec
from hypothesis import strategies as st

from eventrouter.kube.schema import Event, odd_event

UID = "0d1fa6a5-9fc6-4f2c-9d7c-3b6c6ad0f3a1"

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


_EVENT: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {
        "name": "web-7d4b.184a",
        "namespace": "shop",
        "uid": UID,
        "resourceVersion": "1207",
        "creationTimestamp": "2026-03-04T05:06:07Z",
        "managedFields": [
            {"manager": "kubelet", "operation": "Update", "time": "2026-03-04T05:06:07Z"}
        ],
    },
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-7d4b"},
    "reason": "BackOff",
    "message": "Back-off restarting failed container",
    "source": {"component": "kubelet", "host": "node-3"},
    "firstTimestamp": "2026-03-04T05:06:07Z",
    "lastTimestamp": "2026-03-04T05:06:07Z",
    "count": 1,
    "type": "Warning",
    "eventTime": None,
    "reportingComponent": "kubelet",
    "reportingInstance": "node-3",
}


def make_event(
    metadata: dict[str, Any] | None = None, without: tuple[str, ...] = (), **fields: Any
) -> dict[str, Any]:
    """An event of a kubelet with these fields changed, and those of `without` left out.

    Always a new one: shaping takes an event apart.
    """
    event = copy.deepcopy(_EVENT)
    event["metadata"] |= metadata or {}
    event |= fields
    for name in without:
        event["metadata"].pop(name, None)
        event.pop(name, None)
    return event


def read(event: dict[str, Any]) -> Event:
    """The event as a parser hands it on: an Event if it is one by its types, else an odd one."""
    try:
        return msgspec.json.decode(json.dumps(event).encode(), type=Event)
    except (ValueError, RecursionError):
        return odd_event(event)


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
_times = st.sampled_from(
    [
        "2026-03-04T05:06:07Z",
        "2026-03-04T05:06:07.123456Z",
        "2026-03-05T05:06:08+02:00",
        "0001-01-01T00:00:00Z",
        "2999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        "2026-03-04",
        "",
    ]
)


# What may stand in any place in place of what belongs there.
_odd_values = st.sampled_from(
    [
        None, True, 0, -1, 7.5, math.nan, math.inf, 2**64, 10**40, "", "odd", "\ud800", [], {},
        ["odd"], [None], [{}], {"": 1}, {"\udfff": "\ud800"}, nested(3), nested(60),
    ]
)  # fmt: skip


def _object(**plausible: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with any of these fields, each plausible or odd, and perhaps one unheard of."""
    known = {name: usual | _odd_values for name, usual in plausible.items()}
    return st.builds(
        lambda strange, usual: strange | usual,
        st.just({}) | st.dictionaries(texts, json_values, max_size=1),
        st.fixed_dictionaries({}, optional=known),
    )


strange_metadata = _object(
    uid=st.sampled_from([UID, "another", ""]),
    resourceVersion=st.integers(1, 10**6).map(str),
    creationTimestamp=_times,
    managedFields=st.lists(_object(time=_times), max_size=3),
    name=texts,
)
# Anything that could stand where an Event should: every field that the code looks at may be
# right, wrong or missing.
strange_events = _object(
    kind=st.just("Event"),
    apiVersion=st.just("v1"),
    metadata=strange_metadata,
    series=_object(lastObservedTime=_times, count=st.integers(0, 9)),
    lastTimestamp=_times,
    eventTime=_times,
    firstTimestamp=_times,
    count=st.integers(0, 9),
    type=st.sampled_from(["Normal", "Warning", "Odd"]),
    message=texts,
)
