"""Saved objects are known again: by their mark, and by what they ask and show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventrouter.setup.dashboards.saved_objects import SavedObject, saved_objects

ALL = {each.key: each for each in saved_objects("kube-events")}
OVERVIEW = ALL["dashboard", "kube-events-overview"]
CHART = ALL["visualization", "kube-events-warnings-over-time-by-reason"]
NOTE = ALL["visualization", "kube-events-overview-what-is-counted"]
SEARCH = ALL["search", "kube-events-latest-warnings"]
DATA_VIEW = ALL["index-pattern", "kube-events"]
Change = Callable[[Any], object]


def edited(name: str, edit: Change) -> Change:
    """An edit of what is JSON within JSON."""

    def change(attributes: dict[str, Any]) -> None:
        inner = json.loads(attributes[name])
        edit(inner)
        attributes[name] = json.dumps(inner)

    return change


def another_query(attributes: dict[str, Any]) -> None:
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    source["query"]["query"] = "event.type:Normal"
    attributes["kibanaSavedObjectMeta"] = {"searchSourceJSON": json.dumps(source)}


@pytest.mark.parametrize("wanted", ALL.values(), ids=str)
def test_an_object_that_nobody_changed_is_known_as_ours(wanted: SavedObject) -> None:
    found = wanted.found(wanted.body())

    assert (found.mark, found.digest) == (wanted.mark, wanted.mark.digest)


@pytest.mark.parametrize(
    ("wanted", "change"),
    [
        (CHART, another_query),
        (CHART, lambda attributes: attributes.update(title="Mine")),
        (CHART, edited("visState", lambda state: state["aggs"].pop())),
        (CHART, edited("visState", lambda state: state["aggs"][2]["params"].update(size=5))),
        (CHART, edited("visState", lambda state: state.update(type="line"))),
        (NOTE, edited("visState", lambda state: state["params"].update(markdown="Mine"))),
        (SEARCH, another_query),
        (SEARCH, lambda attributes: attributes["columns"].pop()),
        (OVERVIEW, edited("panelsJSON", lambda panels: panels.pop())),
        (OVERVIEW, edited("panelsJSON", lambda panels: panels[1]["gridData"].update(w=1))),
    ],
)
def test_a_user_s_change_is_seen(wanted: SavedObject, change: Change) -> None:
    stored = json.loads(json.dumps(wanted.body()))
    change(stored["attributes"])

    found = wanted.found(stored)

    assert found.mark == wanted.mark
    assert found.digest != wanted.mark.digest


def test_what_the_server_adds_is_no_change() -> None:
    stored = json.loads(json.dumps(CHART.body()))
    edited("visState", lambda state: state["params"].update(isVislibVis=True))(stored["attributes"])

    assert CHART.found(stored).digest == CHART.mark.digest


@pytest.mark.parametrize("pattern", ["kube-*", "kube-events-2026*"])
def test_a_data_view_of_other_indices_is_somebody_else_s(pattern: str) -> None:
    stored = json.loads(json.dumps(DATA_VIEW.body()))
    stored["attributes"]["title"] = pattern

    assert DATA_VIEW.found(stored).mark is None


def test_the_fields_of_a_data_view_are_the_server_s() -> None:
    stored = json.loads(json.dumps(DATA_VIEW.body()))
    stored["attributes"]["fields"] = '[{"name": "verb"}]'

    assert DATA_VIEW.found(stored).mark == DATA_VIEW.mark


def test_a_description_without_the_mark_is_somebody_else_s() -> None:
    stored = json.loads(json.dumps(OVERVIEW.body()))
    stored["attributes"]["description"] = "Mine"

    assert OVERVIEW.found(stored).mark is None
