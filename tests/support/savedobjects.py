"""The form of saved objects that Kibana 8 and 9 and OpenSearch Dashboards 2 and 3 all take.

By Kibana's schemas of attributes, which forbid unknown ones (dashboard, visualization and search
of the saved objects' schema 8.8), and by the newest migrations of OpenSearch Dashboards 2.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

# The newest of OpenSearch Dashboards: an object of a newer version is refused with 422.
NEWEST = {
    "index-pattern": (7, 6, 0),
    "visualization": (7, 10, 0),
    "search": (7, 9, 3),
    "dashboard": (7, 9, 3),
}
_META = {"kibanaSavedObjectMeta": dict}
_COMMON = {"title": str, "description": str, "version": int, **_META}
_ATTRIBUTES: dict[str, dict[str, type]] = {
    "index-pattern": {"title": str, "timeFieldName": str, "fields": str},
    "visualization": {**_COMMON, "visState": str, "uiStateJSON": str},
    "search": {**_COMMON, "columns": list, "sort": list, "hits": int},
    "dashboard": {
        **_COMMON, "panelsJSON": str, "optionsJSON": str, "hits": int, "timeRestore": bool,
        "timeFrom": str, "timeTo": str, "refreshInterval": dict,
    },
}  # fmt: skip
# Lens, ES|QL, controls and TSVB are not in both.
_VIS_TYPES = {"metric", "histogram", "horizontal_bar", "table", "markdown"}
_AGGREGATIONS = {"count", "cardinality", "max", "terms", "date_histogram", "filters"}


class Malformed(Exception):
    """An object that one of the servers would refuse, or could not show."""


def checked(saved: Json) -> Json:
    """The object, if its form is right. Raises Malformed."""
    _need(saved.keys() == {"type", "id", "attributes", "references", "migrationVersion"}, "keys")
    type_, attributes = saved["type"], saved["attributes"]
    _need(type_ in _ATTRIBUTES, f"type {type_}")
    version = tuple(map(int, saved["migrationVersion"][type_].split(".")))
    _need(version <= NEWEST[type_], f"migrationVersion {version} of {type_}")
    _need(len(saved["migrationVersion"]) == 1, "migrationVersion")
    _need(attributes.keys() == _ATTRIBUTES[type_].keys(), f"attributes {sorted(attributes)}")
    for name, value in attributes.items():
        _need(isinstance(value, _ATTRIBUTES[type_][name]), f"type of {name}")
        if name in ("visState", "uiStateJSON", "panelsJSON", "optionsJSON", "fields"):
            json.loads(value)
    names = [reference["name"] for reference in saved["references"]]
    _need(len(names) == len(set(names)), "names of references")
    for reference in saved["references"]:
        _need(reference.keys() == {"name", "type", "id"}, "reference")
    wanted = set()
    if "kibanaSavedObjectMeta" in attributes:
        source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        _need({"query", "filter"} <= source.keys() <= {"query", "filter", "indexRefName"}, "source")
        wanted |= {source["indexRefName"]} if "indexRefName" in source else set()
    if type_ == "dashboard":
        wanted |= {_checked_panel(panel) for panel in json.loads(attributes["panelsJSON"])}
    _need(wanted == set(names), f"references {names}")
    if type_ == "visualization":
        _check_vis_state(json.loads(attributes["visState"]), has_source=bool(wanted))
    return saved


def _checked_panel(panel: Json) -> str:
    keys = {"version", "gridData", "panelIndex", "embeddableConfig", "panelRefName"}
    _need(panel.keys() == keys, "keys of a panel")
    _need(panel["gridData"].keys() == {"x", "y", "w", "h", "i"}, "gridData")
    _need(panel["gridData"]["i"] == panel["panelIndex"], "panelIndex")
    return str(panel["panelRefName"])


def _check_vis_state(state: Json, *, has_source: bool) -> None:
    _need(state.keys() == {"title", "type", "params", "aggs"}, "visState")
    _need(state["type"] in _VIS_TYPES, f"visualization of type {state['type']}")
    _need(has_source is bool(state["aggs"]), "aggregations without an index pattern")
    numbers = [each["id"] for each in state["aggs"]]
    _need(len(numbers) == len(set(numbers)), "ids of aggregations")
    metrics = {each["id"] for each in state["aggs"] if each["schema"] == "metric"}
    for each in state["aggs"]:
        _need(each["type"] in _AGGREGATIONS, f"aggregation {each['type']}")
        _need(each["params"].get("orderBy", "1") in metrics, "orderBy")
        json.loads(each["params"].get("json", "{}"))


def _need(is_right: bool, what: str) -> None:
    if not is_right:
        raise Malformed(what)
