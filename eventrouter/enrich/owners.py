"""Follows owner references to the top, as far as what is known leads. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from eventrouter.enrich.cache import Entry, Owner
from eventrouter.enrich.kinds import Kinds
from eventrouter.enrich.subject import Target, target

# More owners than any controller stacks; ends a circle that somebody wrote.
MAX_OWNERS = 8


class Walk(NamedTuple):
    """Where the references lead.

    `entry` is what is known of the object itself. `owner` is the topmost owner that is known.
    `missing` is the first object on the way that must be asked for, and `is_complete` is whether
    `owner` is the top all the same: then that object is known from before.
    """

    entry: Entry | None
    owner: Owner | None
    missing: Target | None
    is_complete: bool


def walk(start: Target, *, get: Callable[[str], Entry | None], kinds: Kinds, now: float) -> Walk:
    """Follow the owners of an object. A kind that is not allowed is the last one."""
    first = entry = get(start.key)
    missing = start if _is_due(first, now) else None
    owner: Owner | None = None
    place = start
    for _ in range(MAX_OWNERS):
        if entry is None or entry.state == "unknown":
            return Walk(first, owner, missing, False)
        if entry.owner is None:
            break
        owner = entry.owner
        kind = kinds.find(owner.kind, owner.api_version)
        if kind is None:
            break
        above = target(kind, namespace=place.namespace, name=owner.name, uid=owner.uid)
        if above is None:
            break
        place, entry = above, get(above.key)
        if missing is None and _is_due(entry, now):
            missing = above
    return Walk(first, owner, missing, True)


def _is_due(entry: Entry | None, now: float) -> bool:
    return entry is None or entry.expires <= now
