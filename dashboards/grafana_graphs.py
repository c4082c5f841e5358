"""Graphs of Prometheus' expressions: what one is, and its form in Grafana. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.grafana_form import DATASOURCE, Json

SOURCE = {"type": "prometheus", "uid": DATASOURCE}
_PAIR = 'cluster=~"$cluster",namespace=~"$namespace",job=~"$job"'


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, in which `PAIR` stands for the selector, and the name of its series."""

    expression: str
    legend: str = ""

    @property
    def text(self) -> str:
        return self.expression.replace("PAIR", _PAIR)


@dataclass(frozen=True, slots=True)
class Graph:
    """A panel. With `limits` (yellow from, red from) it is one figure, else a line over time.

    A ranking has a bar for each series, of the whole time that the dashboard shows.
    """

    title: str
    description: str
    width: int
    unit: str
    queries: tuple[Query, ...]
    limits: tuple[float, float] | None = None
    is_figure: bool = False
    is_low_bad: bool = False
    is_ranking: bool = False

    @property
    def is_instant(self) -> bool:
        """Whether it shows the last value alone."""
        return self.is_figure or self.is_ranking

    @property
    def type(self) -> str:
        """Grafana's word for the form."""
        if self.is_ranking:
            return "bargauge"
        return "stat" if self.is_figure else "timeseries"


# A section's heading, height and graphs.
Section = tuple[str, int, tuple[Graph, ...]]


def age(metric: str, condition: str = "") -> tuple[Query, ...]:
    """How long ago the latest of these times was."""
    return (Query(f"time() - max({metric}{{PAIR}}{condition})"),)


def selected(metric: str, more: str = "") -> str:
    """The metric of the pair. `more` are further matchers."""
    return f"{metric}{{PAIR,{more}}}" if more else f"{metric}{{PAIR}}"


def legend_of(by: str) -> str:
    """The values of the labels that a sum is by."""
    return " ".join(f"{{{{{name.strip()}}}}}" for name in by.split(","))


def rate(metric: str, by: str) -> Query:
    """How much a second."""
    return Query(f"sum by ({by}) (rate({selected(metric)}[$__rate_interval]))", legend_of(by))


def increase(metric: str, by: str, legend: str = "", more: str = "") -> Query:
    """How much more, if any. `more` are further matchers."""
    return Query(
        f"sum by ({by}) (increase({selected(metric, more)}[$__rate_interval])) > 0",
        f"{legend} {legend_of(by)}".strip(),
    )


def panel_of(graph: Graph) -> Json:
    """The panel in Grafana's form."""
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": query.text,
            "legendFormat": query.legend or "__auto",
            "instant": graph.is_instant,
            "range": not graph.is_instant,
        }
        for number, query in enumerate(graph.queries)
    ]
    return {
        "type": graph.type,
        "title": graph.title,
        "description": graph.description,
        "datasource": SOURCE,
        "targets": targets,
        "options": _options(graph),
        "fieldConfig": {"defaults": _defaults(graph), "overrides": []},
    }


def _options(graph: Graph) -> Json:
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if graph.is_figure:
        text = "value" if graph.limits else "name"
        return {"reduceOptions": reduce, "textMode": text, "graphMode": "none"}
    if graph.is_ranking:
        return {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _defaults(graph: Graph) -> dict[str, Any]:
    result: Json = {"unit": graph.unit}
    if graph.limits is None:
        if not graph.is_figure:
            result["min"] = 0
        return result
    yellow, red = graph.limits
    steps: list[Json] = [{"color": "green", "value": None}, {"color": "yellow", "value": yellow}]
    if graph.is_low_bad:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": red}]
    elif yellow == red:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": red}]
    else:
        steps.append({"color": "red", "value": red})
    result["decimals"] = 0
    result["thresholds"] = {"mode": "absolute", "steps": steps}
    return result
