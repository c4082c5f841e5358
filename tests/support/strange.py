"""What may come in the place of an event: every field plausible, odd or missing."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from tests.support.events import UID
from tests.support.values import json_values, nested, texts

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
