"""What setup does about each object, by what it finds."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from eventrouter.setup.mapping import Server
from eventrouter.setup.mark import Mark
from eventrouter.setup.objects import Found, Parameters, SetupObject, objects
from eventrouter.setup.plan import Action, decide

POLICY, TEMPLATE = objects(Server.ELASTICSEARCH, Parameters())


def found(wanted: SetupObject, **changes: Any) -> Found:
    """The object as it is wanted, with these changes of its mark."""
    return Found(dataclasses.replace(wanted.mark, **changes), wanted.mark.digest)


def another(**parameters: Any) -> SetupObject:
    return objects(Server.ELASTICSEARCH, Parameters(**parameters))[0]


def test_a_missing_object_is_created() -> None:
    assert decide(POLICY, None, force=False).action is Action.CREATE


def test_one_that_is_as_it_should_be_is_left_unchanged() -> None:
    assert decide(POLICY, found(POLICY), force=False).action is Action.KEEP
    assert decide(POLICY, found(POLICY), force=True).action is Action.KEEP


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (Found(None, "any"), "somebody else made it"),
        (Found(POLICY.mark, "another"), "somebody changed it"),
        (Found(Mark(0, POLICY.mark.parameters, "before"), "another"), "somebody changed it"),
        (found(another(retention="60d")), "with retention 60d, not 30d"),
    ],
    ids=["foreign", "changed", "old and changed", "other parameters"],
)
def test_what_others_made_or_chose_is_left_and_named_unless_forced(theirs: Found, why: str) -> None:
    left = decide(POLICY, theirs, force=False)
    forced = decide(POLICY, theirs, force=True)

    assert left.action is Action.LEAVE
    assert why in left.reason
    assert "--force" in left.reason
    assert forced.action is Action.REPLACE


@pytest.mark.parametrize(("before", "is_shorter"), [("60d", True), ("721h", True), ("7d", False)])
def test_a_shorter_retention_is_never_set_unasked_and_said_to_delete(
    before: str, is_shorter: bool
) -> None:
    decision = decide(POLICY, found(another(retention=before), version=0), force=False)

    assert decision.action is Action.LEAVE
    assert ("deletes events" in decision.reason) is is_shorter


def test_an_older_one_of_ours_is_brought_up_to_date() -> None:
    old = Mark(TEMPLATE.mark.version - 1, TEMPLATE.mark.parameters, "of then")

    assert decide(TEMPLATE, Found(old, "of then"), force=False).action is Action.UPDATE


@pytest.mark.parametrize("force", [False, True])
def test_a_newer_one_is_never_taken_back(force: bool) -> None:
    newer = Mark(TEMPLATE.mark.version + 1, {"shards": "3", "more": "1"}, "new")

    decision = decide(TEMPLATE, Found(newer, "new"), force=force)

    assert decision.action is Action.KEEP
    assert "newer" in decision.reason
