"""The pages as saved objects of Kibana and OpenSearch Dashboards, one set for both. Pure.

The versions are the newest that OpenSearch Dashboards takes: it refuses a newer one with 422.
Kibana refuses unknown attributes, so the mark is in the description.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventrouter.setup.dashboards.pages import PAGES
from eventrouter.setup.dashboards.panels import TIME_FIELD, Page, Panel, Shape, slug
from eventrouter.setup.dashboards.visualizations import vis_state
from eventrouter.setup.mark import Mark, digest, mark_in_text
from eventrouter.setup.objects import Found

Json = dict[str, Any]

# One higher with every change of what is asked: a test holds the digest of the current one.
DASHBOARDS_VERSION = 2
FORM_VERSIONS = {
    "index-pattern": "7.6.0",
    "visualization": "7.10.0",
    "search": "7.9.3",
    "dashboard": "7.9.3",
}
_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"
_COLUMNS = 48  # of a dashboard's grid; ours has 24
_UNITS = 2  # rows of the grid in one unit of height
_NOTE_UNITS = 2


@dataclass(frozen=True, slots=True)
class SavedObject:
    """One object, and the page that it belongs to ("" for the data view)."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    references: tuple[Mapping[str, str], ...]
    mark: Mark
    summary: str
    page: str

    def __str__(self) -> str:
        return f"{self.type} {self.attributes['title']}"

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return self.type, self.id

    def body(self) -> Json:
        """What is imported."""
        return {
            "type": self.type,
            "id": self.id,
            "attributes": dict(self.attributes),
            "references": [dict(reference) for reference in self.references],
            "migrationVersion": {self.type: FORM_VERSIONS[self.type]},
        }

    def found(self, stored: Mapping[str, Any]) -> Found:
        """The object as the server shows it. Raises KeyError, TypeError or ValueError."""
        seen = digest_of(self.type, stored["attributes"])
        if self.type == "index-pattern":  # it has no place for a mark, and no more than this
            return Found(self.mark if seen == self.mark.digest else None, seen)
        return Found(mark_in_text(stored["attributes"].get("description")), seen)


def saved_objects(prefix: str) -> tuple[SavedObject, ...]:
    """All objects for the indices `prefix`-*, each after those that it refers to."""
    found = [data_view(prefix)]
    for page in PAGES:
        found += [_panel(prefix, page, panel) for panel in page.panels]
        found += [_note(prefix, page), _dashboard(prefix, page)]
    return tuple(found)


def data_view(prefix: str) -> SavedObject:
    """The index pattern, which Kibana calls a data view. Its id is the prefix."""
    pattern = f"{prefix}-*"
    attributes = {"title": pattern, "timeFieldName": TIME_FIELD, "fields": "[]"}
    mark = Mark(DASHBOARDS_VERSION, {}, digest_of("index-pattern", attributes))
    return SavedObject("index-pattern", prefix, attributes, (), mark, f"for {pattern}", "")


def ndjson(objects: tuple[SavedObject, ...]) -> str:
    """The objects as a file to import."""
    return "".join(json.dumps(each.body(), sort_keys=True) + "\n" for each in objects)


def digest_of(type_: str, attributes: Mapping[str, Any]) -> str:
    """Of what an object asks and shows. The server migrates the rest to its own version's form."""
    content: Json = {"title": attributes["title"]}
    if type_ == "index-pattern":
        content["time"] = attributes.get("timeFieldName")
    elif type_ == "dashboard":
        grids = [panel["gridData"] for panel in json.loads(attributes["panelsJSON"])]
        content["grid"] = sorted([grid[side] for side in "yxwh"] for grid in grids)
    elif type_ == "search":
        # Kibana since 9.2 moves all but the title into tabs.
        tabs = [each["attributes"] for each in attributes.get("tabs") or ()] or [attributes]
        content["columns"] = [each["columns"] for each in tabs]
        content["query"] = [_query(each) for each in tabs]
    else:
        content["query"] = _query(attributes)
        state = json.loads(attributes["visState"])
        content |= {"type": state["type"], "markdown": state["params"].get("markdown")}
        content["aggs"] = [
            [each["type"], [each["params"].get(name) for name in ("field", "size")]]
            for each in state["aggs"]
        ]
    return digest(content, tuple(content))


def _query(attributes: Mapping[str, Any]) -> str:
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    return str(source["query"]["query"])


def _object(
    prefix: str, page: Page, type_: str, name: str, attributes: Json, references: list[Json]
) -> SavedObject:
    mark = Mark(DASHBOARDS_VERSION, {}, digest_of(type_, attributes))
    attributes["description"] = mark.as_text(attributes["description"])
    return SavedObject(
        type_, f"{prefix}-{name}", attributes, tuple(references), mark, page.summary, page.name
    )


def _search_source(query: str) -> Json:
    """The query, and by the name of a reference the data view."""
    source = {
        "query": {"query": query, "language": "lucene"},
        "filter": [],
        "indexRefName": _INDEX,
    }
    return {"searchSourceJSON": json.dumps(source)}


def _panel(prefix: str, page: Page, panel: Panel) -> SavedObject:
    reference = {"name": _INDEX, "type": "index-pattern", "id": prefix}
    attributes: Json = {
        "title": panel.title,
        "description": panel.needs or page.summary,
        "kibanaSavedObjectMeta": _search_source(panel.query),
        "version": 1,
    }
    if panel.shape is Shape.LATEST:
        attributes |= {"columns": list(panel.columns), "sort": [[TIME_FIELD, "desc"]], "hits": 0}
        return _object(prefix, page, "search", panel.slug, attributes, [reference])
    attributes |= {"visState": json.dumps(vis_state(panel)), "uiStateJSON": "{}"}
    return _object(prefix, page, "visualization", panel.slug, attributes, [reference])


def _note(prefix: str, page: Page) -> SavedObject:
    """What is counted, and the way to the other pages."""
    links = " · ".join(
        f"**{each.name}**" if each is page else f"[{each.name}](#/view/{prefix}-{each.slug})"
        for each in PAGES
    )
    params = {
        "markdown": f"{links}\n\n{page.note}", "fontSize": 12, "openLinksInNewTab": False,
    }  # fmt: skip
    title = f"{page.name}: what is counted"
    state = {"title": title, "type": "markdown", "params": params, "aggs": []}
    source = {"query": {"query": "", "language": "lucene"}, "filter": []}
    attributes: Json = {
        "title": title,
        "description": page.summary,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "version": 1,
    }
    return _object(prefix, page, "visualization", slug(title), attributes, [])


def _dashboard(prefix: str, page: Page) -> SavedObject:
    note = {"type": "visualization", "id": f"{prefix}-{slug(f'{page.name}: what is counted')}"}
    placed: list[tuple[Json, Json]] = [
        (note, {"x": 0, "y": 0, "w": _COLUMNS, "h": _UNITS * _NOTE_UNITS})
    ]
    y = _UNITS * _NOTE_UNITS
    for row in page.rows:
        x, height = 0, _UNITS * row.height
        for panel in row.panels:
            type_ = "search" if panel.shape is Shape.LATEST else "visualization"
            width = panel.width * _COLUMNS // 24
            grid = {"x": x, "y": y, "w": width, "h": height}
            placed.append(({"type": type_, "id": f"{prefix}-{panel.slug}"}, grid))
            x += width
        y += height
    panels = [
        {
            "version": FORM_VERSIONS["dashboard"],
            "gridData": {**grid, "i": str(number)},
            "panelIndex": str(number),
            # The note's title would say no more than its text.
            "embeddableConfig": {"hidePanelTitles": True} if number == 0 else {},
            "panelRefName": f"panel_{number}",
        }
        for number, (_, grid) in enumerate(placed)
    ]
    references = [
        {"name": f"panel_{number}", **target} for number, (target, _) in enumerate(placed)
    ]
    source = {"query": {"query": "", "language": "lucene"}, "filter": []}
    attributes: Json = {
        "title": f"Kubernetes events: {page.name[0].lower()}{page.name[1:]}",
        "description": page.summary,
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-2d",
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 0},
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
        "version": 1,
        "hits": 0,
    }
    return _object(prefix, page, "dashboard", page.slug, attributes, references)
