"""What to do about each object. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from eventrouter.setup.mark import Mark
from eventrouter.setup.objects import Found

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


class Action(Enum):
    """What to do; the value is the word for it, done."""

    CREATE = "created"
    UPDATE = "updated"
    REPLACE = "replaced"
    KEEP = "unchanged"
    LEAVE = "left"

    @property
    def is_write(self) -> bool:
        """Whether it changes anything on the server."""
        return self in (Action.CREATE, Action.UPDATE, Action.REPLACE)


class Wanted(Protocol):
    """An object as it should be. `summary` says what it does, in a few words."""

    @property
    def summary(self) -> str: ...

    @property
    def mark(self) -> Mark: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one object, and why. Only LEAVE leaves something for the user to do."""

    action: Action
    reason: str


def decide(wanted: Wanted, found: Found | None, *, force: bool) -> Decision:
    """Create what is missing, bring ours up to date, and leave alone what others have chosen.

    `force` replaces what was made or chosen by others. A newer version of ours stays even then.
    """
    if found is None:
        return Decision(Action.CREATE, wanted.summary)
    mark = found.mark
    if mark is not None and mark.version > wanted.mark.version:
        return Decision(Action.KEEP, "a newer eventrouter made it")
    problem = objection(found) or _other_parameters(wanted.mark, mark)
    if problem and force:
        return Decision(Action.REPLACE, f"{wanted.summary}; {problem}")
    if problem:
        return Decision(Action.LEAVE, f"{problem}; --force replaces it")
    assert mark is not None
    if mark.version < wanted.mark.version:
        versions = f"from version {mark.version} to {wanted.mark.version}"
        return Decision(Action.UPDATE, f"{wanted.summary}; {versions}")
    return Decision(Action.KEEP, wanted.summary)


def objection(found: Found) -> str:
    """Why an object is not ours as we made it; empty if it is."""
    if found.mark is None:
        return "somebody else made it"
    if found.mark.digest != found.digest:
        return "somebody changed it after eventrouter made it"
    return ""


def _other_parameters(wanted: Mark, mark: Mark | None) -> str:
    """Which parameters somebody once chose for ours; empty if none."""
    assert mark is not None
    others = [
        f"{name} {mark.parameters.get(name, 'unset')}, not {value}"
        for name, value in wanted.parameters.items()
        if mark.parameters.get(name) != value
    ]
    if not others:
        return ""
    before, after = (each.parameters.get("retention") for each in (mark, wanted))
    shortens = before and after and _seconds(before) > _seconds(after)
    warning = " (the shorter retention deletes events)" if shortens else ""
    return f"eventrouter made it with {', '.join(others)}{warning}"


def _seconds(retention: str) -> int:
    """Of a time such as 30d; 0 if it is none."""
    found = re.fullmatch(r"(\d+)([dhms])", retention)
    return int(found[1]) * _SECONDS[found[2]] if found else 0
