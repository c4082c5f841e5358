"""`grafana/events.json`: the panels of Kibana for Grafana's Elasticsearch data source. Pure."""

from __future__ import annotations

from typing import Any

from dashboards.grafana_form import DATASOURCE, Json, Layout, dashboard, datasource_variable
from eventrouter.setup.dashboards.pages import PAGES
from eventrouter.setup.dashboards.panels import (
    PERIODS,
    TIME_FIELD,
    Metric,
    Page,
    Panel,
    Shape,
    Split,
)

_SOURCE = {"type": "elasticsearch", "uid": DATASOURCE}
_TYPES = {
    Shape.NUMBER: "stat",
    Shape.TIMELINE: "timeseries",
    Shape.BARS: "barchart",
    Shape.TABLE: "table",
    Shape.LATEST: "table",
}
# How Grafana names the column of a metric.
_METRIC_NAMES = {"cardinality": "Unique Count", "count": "Count", "max": "Max"}
_FIRST_METRIC = "1"
_LATEST = 100
# Grafana wants a bucket around a figure. Such a one began in October 2024 and ends in 2052.
_ALL_TIME = "10000d"
# Grafana cannot ask the server to compare more values than it gets. So a table gets more, and has
# pages: with too few, those of several indices would not be the highest of all.
_TABLE_ROWS = 500


def events() -> Json:
    """The dashboard. Only its first section is open: the others ask when they are opened."""
    layout = Layout()
    for page in PAGES:
        section = layout.section(page.name, is_collapsed=page is not PAGES[0])
        layout.row(2, [(24, _note(page))], section)
        for row in page.rows:
            layout.row(row.height, [(panel.width, _panel(panel)) for panel in row.panels], section)
    filters = {
        "name": "filters", "type": "adhoc", "label": "Filters", "datasource": _SOURCE,
        "filters": [], "hide": 0,
    }  # fmt: skip
    return dashboard(
        uid="eventrouter-events",
        title="Kubernetes events",
        description="The events of a cluster, as eventrouter keeps them in Elasticsearch",
        time_from="now-2d",
        variables=[datasource_variable("elasticsearch"), filters],
        panels=layout.panels,
    )


def _note(page: Page) -> Json:
    options = {"mode": "markdown", "content": page.note}
    return {"type": "text", "title": "", "transparent": True, "options": options}


def _panel(panel: Panel) -> Json:
    result: Json = {
        "type": _TYPES[panel.shape],
        "title": panel.title,
        "datasource": _SOURCE,
        "targets": [_target(panel)],
        "options": _options(panel),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _labels(panel)},
    }
    if panel.needs:
        result["description"] = panel.needs
    if transformations := _transformations(panel):
        result["transformations"] = transformations
    return result


def _target(panel: Panel) -> Json:
    return {
        "refId": "A",
        "datasource": _SOURCE,
        "query": panel.query,
        "timeField": TIME_FIELD,
        "alias": "",
        "metrics": _metrics(panel),
        "bucketAggs": _buckets(panel),
    }


def _metrics(panel: Panel) -> list[Json]:
    if panel.shape is Shape.LATEST:
        return [{"id": _FIRST_METRIC, "type": "raw_data", "settings": {"size": str(_LATEST)}}]
    return [
        _metric(str(number), metric, panel.precision)
        for number, metric in enumerate(panel.metrics, 1)
    ]


def _metric(number: str, metric: Metric, precision: int) -> Json:
    result: Json = {"id": number, "type": metric.function}
    if metric.field:
        result["field"] = metric.field
    if metric.function == "cardinality":
        result["settings"] = {"precision_threshold": str(precision)}
    return result


def _buckets(panel: Panel) -> list[Json]:
    if panel.shape is Shape.LATEST:
        return []
    is_count = panel.metrics[0].function == "count"
    buckets: list[Json] = [
        {
            "type": "terms",
            "field": split.field,
            "settings": {
                "order": "desc", "orderBy": "_count" if is_count else _FIRST_METRIC,
                "size": str(_size(panel, split)), "min_doc_count": "1",
            },
        }
        for split in panel.splits
    ]  # fmt: skip
    if panel.compares_periods:
        # Not innermost: there Grafana reads no answer of filters (processAggregationDocs).
        periods = [{"query": period.query, "label": period.label} for period in PERIODS]
        buckets.insert(0, {"type": "filters", "settings": {"filters": periods}})
    if panel.shape in (Shape.TIMELINE, Shape.NUMBER):
        interval = "auto" if panel.shape is Shape.TIMELINE else _ALL_TIME
        settings = {"interval": interval, "min_doc_count": "0", "trimEdges": "0"}
        buckets.append({"type": "date_histogram", "field": TIME_FIELD, "settings": settings})
    return [
        {"id": str(number), **bucket}
        for number, bucket in enumerate(buckets, len(panel.metrics) + 1)
    ]


def _size(panel: Panel, split: Split) -> int:
    is_outermost = split is panel.splits[0]
    return _TABLE_ROWS if panel.shape is Shape.TABLE and is_outermost else split.size


def _transformations(panel: Panel) -> list[Json]:
    if panel.shape is Shape.LATEST:
        names = [TIME_FIELD, *panel.columns]
        order = {name: index for index, name in enumerate(names)}
        return [
            {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
            {"id": "organize", "options": {"indexByName": order}},
        ]
    if panel.compares_periods:
        options = {
            "rowField": panel.splits[0].field, "columnField": "filter",
            "valueField": _column_of(panel, panel.metrics[0]),
        }  # fmt: skip
        return [{"id": "groupingToMatrix", "options": options}]
    return []


def _column_of(panel: Panel, metric: Metric) -> str:
    name = _METRIC_NAMES[metric.function]
    return name if len(panel.metrics) == 1 else f"{name} {metric.field}"


def _labels(panel: Panel) -> list[Json]:
    """Words for the columns, in place of the names of fields."""
    words = {split.field: split.label for split in panel.splits}
    if panel.shape is not Shape.LATEST:
        words |= {_column_of(panel, metric): metric.label for metric in panel.metrics}
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "displayName", "value": word}],
        }
        for name, word in words.items()
    ]


def _defaults(panel: Panel) -> Json:
    if panel.shape is not Shape.TIMELINE:
        return {}
    stacking = {"mode": "normal", "group": "A"}
    return {"min": 0, "custom": {"drawStyle": "bars", "fillOpacity": 80, "stacking": stacking}}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.shape is Shape.NUMBER:
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": reduce, "textMode": "value", "graphMode": "none"}
    if panel.shape is Shape.TIMELINE:
        legend = {"displayMode": "list", "placement": "right", "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.shape is Shape.BARS:
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        return {"orientation": "horizontal", "stacking": "none", "legend": legend}
    footer = {"show": False, "reducer": [], "enablePagination": True}
    return {"showHeader": True, "cellHeight": "sm", "footer": footer}
