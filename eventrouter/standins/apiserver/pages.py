"""Pages of a list, cut from all events of one revision."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from eventrouter.standins.apiserver.changes import Change

Matches = Callable[[bytes], bool]


class Page(NamedTuple):
    """A part of a list as of `revision`.

    `last` is the key that the next page continues after, None on the last page; `remaining` is the
    number of keys after it.
    """

    revision: int
    items: list[bytes]
    last: str | None
    remaining: int


def cut_page(
    events: Sequence[Change],
    *,
    revision: int,
    namespace: str | None,
    after: str,
    limit: int | None,
    matches: Matches | None,
) -> Page:
    """The events after the key `after`, up to `limit` of those that match.

    `events` are in key order. As in the API server's etcd store, a page may end with the last match
    and still have a next page, which is then empty: `remaining` counts keys, not matches.
    """
    if namespace is not None:
        events = _of_namespace(events, namespace)
    items: list[bytes] = []
    end = start = bisect_right(events, after, key=_key)
    while end < len(events) and len(items) != limit:
        item = events[end].item
        if matches is None or matches(item):
            items.append(item)
        end += 1
    last = events[end - 1].key if start < end < len(events) else None
    return Page(revision, items, last, len(events) - end)


def _of_namespace(events: Sequence[Change], namespace: str) -> Sequence[Change]:
    start = bisect_left(events, f"{namespace}/", key=_key)
    end = bisect_left(events, f"{namespace}0", key=_key)  # "0" is the character after "/"
    return events[start:end]


def _key(change: Change) -> str:
    return change.key
