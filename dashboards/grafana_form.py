"""Grafana's form of a dashboard: rows of panels, variables, and where each panel lies. Pure.

It is the form of Grafana 10; newer ones migrate it when they load it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]

_SCHEMA_VERSION = 39
COLUMNS = 24
DATASOURCE = "${datasource}"


def dashboard(
    *,
    uid: str,
    title: str,
    description: str,
    time_from: str,
    variables: Sequence[Json],
    panels: Sequence[Json],
) -> Json:
    """The dashboard. Panels get their ids here."""
    number = 0
    for panel in panels:
        for each in (panel, *panel.get("panels", ())):
            number += 1
            each["id"] = number
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["eventrouter", "kubernetes"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,  # one crosshair for all panels
        "time": {"from": time_from, "to": "now"},
        "timezone": "browser",
        "refresh": "",
        "links": [],
        "annotations": {"list": []},
        "templating": {"list": list(variables)},
        "panels": list(panels),
    }


def datasource_variable(plugin: str) -> Json:
    """The choice of a data source, which every panel uses."""
    return {
        "name": "datasource", "type": "datasource", "label": "Data source", "query": plugin,
        "hide": 0, "includeAll": False, "multi": False, "regex": "", "refresh": 1, "options": [],
    }  # fmt: skip


class Layout:
    """Places rows of panels one below the other."""

    def __init__(self) -> None:
        self._y = 0
        self.panels: list[Json] = []

    def section(self, title: str, *, is_collapsed: bool) -> Json:
        """A heading. The panels of a collapsed one are inside it."""
        heading = {
            "type": "row", "title": title, "collapsed": is_collapsed, "panels": [],
            "gridPos": {"x": 0, "y": self._y, "w": COLUMNS, "h": 1},
        }  # fmt: skip
        self._y += 1
        self.panels.append(heading)
        return heading

    def row(self, height: int, panels: Iterable[tuple[int, Json]], section: Json | None) -> None:
        """Panels side by side, each with its width."""
        x = 0
        for width, panel in panels:
            panel["gridPos"] = {"x": x, "y": self._y, "w": width, "h": height}
            x += width
            inside = section is not None and section["collapsed"]
            (section["panels"] if section and inside else self.panels).append(panel)
        assert x <= COLUMNS
        self._y += height
