"""The files in `dashboards/`: as they are made, complete, and asking for fields that there are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from dashboards import files
from eventrouter.setup.dashboards.pages import PAGES
from eventrouter.setup.dashboards.panels import METRICS, Unit
from eventrouter.setup.dashboards.saved_objects import (
    DASHBOARDS_VERSION,
    SavedObject,
    ndjson,
    saved_objects,
)
from eventrouter.setup.mapping import Server, mappings
from tests.support.savedobjects import checked

Json = dict[str, Any]
KIBANA = saved_objects("kube-events")
PANELS = [each for each in KIBANA if each.type in ("visualization", "search")]
GRAFANA = json.loads((files.FOLDER / "grafana" / "events.json").read_text())
HEALTH = json.loads((files.FOLDER / "grafana" / "eventrouter.json").read_text())
# If an object changes, so does this: raise DASHBOARDS_VERSION, so that users get the new one.
DIGESTS = {1: "91c22c202f9c", 2: "0025e3d199fa"}


def grafana_panels(dashboard: Json) -> list[Json]:
    return [inner for each in dashboard["panels"] for inner in (each, *each.get("panels", ()))]


def asking(dashboard: Json) -> list[Json]:
    return [panel for panel in grafana_panels(dashboard) if panel.get("targets")]


def query_fields(query: str) -> Iterator[str]:
    yield from re.findall(r"([@\w.]+):", query)


def kibana_fields(saved: SavedObject) -> Iterator[str]:
    attributes = saved.attributes
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    yield from query_fields(source["query"]["query"])
    yield from attributes.get("columns", ())
    yield from (field for field, _ in attributes.get("sort", ()))
    for each in json.loads(attributes.get("visState", "{}")).get("aggs", ()):
        if "field" in each["params"]:
            yield each["params"]["field"]
        for one in each["params"].get("filters", ()):
            yield from query_fields(one["input"]["query"])


def grafana_fields(panel: Json) -> Iterator[str]:
    for target in panel["targets"]:
        yield target["timeField"]
        yield from query_fields(target["query"])
        for each in (*target["metrics"], *target["bucketAggs"]):
            if "field" in each:
                yield each["field"]
            for one in each.get("settings", {}).get("filters", ()):
                yield from query_fields(one["query"])
    for each in panel.get("transformations", ()):
        yield from each["options"].get("include", {}).get("names", ())


def mapped(properties: Json, prefix: str = "") -> Iterator[str]:
    """All fields that can be searched."""
    for name, field in properties.items():
        if "type" in field and field.get("enabled", True):
            yield prefix + name
        for inner in ("properties", "fields"):
            yield from mapped(field.get(inner, {}), f"{prefix}{name}.")


def columns_of(metrics: list[Json]) -> set[tuple[str, str]]:
    return {(each["type"], each.get("field", "")) for each in metrics}


def unit_of(title: str) -> Unit:
    found = re.search(r" \((\w+)\)$", title)
    assert found, f"{title!r} does not say what it counts"
    return Unit(found[1])


def test_the_files_are_what_the_generator_makes() -> None:
    for name, text in files.files().items():
        assert (files.FOLDER / name).read_text() == text, (
            f"{name}: run python -m tests.chart.manifest"
        )


def test_an_object_changes_only_with_its_version() -> None:
    found = hashlib.sha256(ndjson(KIBANA).encode()).hexdigest()[:12]

    assert found == DIGESTS[DASHBOARDS_VERSION]


@pytest.mark.parametrize("server", Server)
def test_every_field_of_every_panel_is_mapped(server: Server) -> None:
    searchable = set(mapped(mappings(server)["properties"]))

    for saved in PANELS:
        assert set(kibana_fields(saved)) <= searchable, saved
    for panel in asking(GRAFANA):
        assert set(grafana_fields(panel)) <= searchable, panel["title"]
    assert {"event.message.keyword", "cluster", "truncated", "object.owner.name"} <= searchable


def test_no_panel_splits_by_a_text_that_has_no_doc_values() -> None:
    properties = mappings(Server.ELASTICSEARCH)["properties"]
    assert properties["event"]["properties"]["message"]["type"] == "text"

    for saved in PANELS:
        for each in json.loads(saved.attributes.get("visState", "{}")).get("aggs", ()):
            assert each["params"].get("field") != "event.message", saved


def says_what_it_needs(fields: Iterator[str], description: str) -> bool:
    """Whether a user learns which option fills these fields."""
    asked = set(fields)
    if any(name.startswith("object.") for name in asked):
        return "--enrich" in description
    return "cluster" not in asked or "--cluster-name" in description


def test_a_panel_that_is_empty_by_default_says_what_it_needs() -> None:
    for saved in PANELS:
        assert says_what_it_needs(kibana_fields(saved), saved.attributes["description"]), saved
    for panel in asking(GRAFANA):
        assert says_what_it_needs(grafana_fields(panel), panel.get("description", ""))
    assert {panel.needs for page in PAGES for panel in page.panels} > {""}


def test_each_title_of_kibana_says_what_its_panel_counts() -> None:
    for saved in PANELS:
        title = saved.attributes["title"]
        if saved.type == "search":  # rows are documents, and so states
            assert unit_of(title) is Unit.STATES
            continue
        state = json.loads(saved.attributes["visState"])
        assert state["title"] == title
        if state["type"] == "markdown":
            continue
        found = {
            (each["type"], each["params"].get("field", ""))
            for each in state["aggs"]
            if each["schema"] == "metric"
        }
        assert found == {(metric.function, metric.field) for metric in METRICS[unit_of(title)]}


def test_each_title_of_grafana_says_what_its_panel_counts() -> None:
    for panel in asking(GRAFANA):
        (target,) = panel["targets"]
        wanted = {(metric.function, metric.field) for metric in METRICS[unit_of(panel["title"])]}
        if not target["bucketAggs"]:
            assert unit_of(panel["title"]) is Unit.STATES
        else:
            assert columns_of(target["metrics"]) == wanted


def test_kibana_and_grafana_answer_the_same_questions() -> None:
    notes = {each.attributes["title"] for each in PANELS if "markdown" in json.dumps(each.body())}
    kibana = {each.attributes["title"] for each in PANELS} - notes

    assert kibana == {panel["title"] for panel in asking(GRAFANA)}
    assert kibana == {panel.title for page in PAGES for panel in page.panels}


@pytest.mark.parametrize("saved", KIBANA, ids=str)
def test_a_saved_object_has_the_form_that_kibana_and_opensearch_dashboards_take(
    saved: SavedObject,
) -> None:
    checked(saved.body())


def test_each_object_comes_after_those_that_it_refers_to() -> None:
    there: set[tuple[str, str]] = set()
    for saved in KIBANA:
        assert {(each["type"], each["id"]) for each in saved.references} <= there
        assert saved.key not in there
        there.add(saved.key)
    shown = {
        (each["type"], each["id"])
        for saved in KIBANA
        if saved.type == "dashboard"
        for each in saved.references
    }
    assert shown == {each.key for each in PANELS}


def test_a_note_leads_to_dashboards_that_there_are() -> None:
    ids = {each.id for each in KIBANA if each.type == "dashboard"}
    notes = [each for each in PANELS if "#/view/" in each.attributes.get("visState", "")]

    assert len(notes) == len(ids)
    for note in notes:
        linked = set(re.findall(r"#/view/([\w-]+)", note.attributes["visState"]))
        assert linked < ids
        assert len(linked) == len(ids) - 1


def overlap(one: Json, other: Json) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    )  # fmt: skip


def test_no_panel_lies_on_another_or_outside() -> None:
    boards = [
        ([panel["gridData"] for panel in json.loads(each.attributes["panelsJSON"])], 48)
        for each in KIBANA
        if each.type == "dashboard"
    ]
    boards += [
        ([panel["gridPos"] for panel in grafana_panels(board)], 24) for board in (GRAFANA, HEALTH)
    ]
    for grids, width in boards:
        assert all(grid["x"] >= 0 and grid["x"] + grid["w"] <= width for grid in grids)
        assert not [pair for pair in combinations(grids, 2) if overlap(*pair)]


@pytest.mark.parametrize("board", [GRAFANA, HEALTH], ids=lambda board: str(board["title"]))
def test_a_dashboard_of_grafana_takes_its_data_source_from_the_variable(board: Json) -> None:
    assert board["templating"]["list"][0]["type"] == "datasource"
    ids = [panel["id"] for panel in grafana_panels(board)]
    assert len(ids) == len(set(ids))
    for panel in asking(board):
        for each in (panel, *panel["targets"]):
            assert each["datasource"]["uid"] == "${datasource}"


def test_the_prefix_is_in_every_id_and_in_the_pattern() -> None:
    text = ndjson(saved_objects("shop"))

    assert "kube-events" not in text
    assert '"title": "shop-*"' in text
    for line in text.splitlines():
        assert re.match(r"shop(-|$)", json.loads(line)["id"])
