"""A panel as an aggregation-based visualization: its `visState`. Pure.

The form is that of Kibana 7.10, from which both Kibana and OpenSearch Dashboards go on: Kibana 8
and 9 migrate it, OpenSearch Dashboards 2 and 3 know it as it is. Lens, ES|QL and controls are of
Kibana alone.
"""

from __future__ import annotations

import json
from typing import Any

from eventrouter.setup.dashboards.panels import (
    COMPARED,
    PERIODS,
    TIME_FIELD,
    Metric,
    Panel,
    Shape,
    Split,
)

Json = dict[str, Any]

# The id of the first metric: splits are ordered by it.
_FIRST_METRIC = "1"
_TYPES = {
    Shape.NUMBER: "metric",
    Shape.TIMELINE: "histogram",
    Shape.BARS: "horizontal_bar",
    Shape.TABLE: "table",
}


def vis_state(panel: Panel) -> Json:
    """The state of the panel's visualization. Not for the shape LATEST, which is a saved search."""
    return {
        "title": panel.title,
        "type": _TYPES[panel.shape],
        "params": _params(panel),
        "aggs": _aggregations(panel),
    }


def _aggregations(panel: Panel) -> list[Json]:
    metrics = [_metric(metric, panel.precision) for metric in panel.metrics]
    buckets: list[Json] = []
    if panel.shape is Shape.TIMELINE:
        buckets.append(_over_time())
    schemas = {Shape.TABLE: ["bucket"], Shape.TIMELINE: ["group"]}.get(panel.shape, ["segment"])
    buckets += [_terms(split, schema=schemas[0]) for split in panel.splits]
    if panel.compares_periods:
        buckets.append(_periods())
    return [
        {"id": str(number), "enabled": True, **aggregation}
        for number, aggregation in enumerate(metrics + buckets, 1)
    ]


def _metric(metric: Metric, precision: int) -> Json:
    params: Json = {"customLabel": metric.label}
    if metric.field:
        params["field"] = metric.field
    if metric.function == "cardinality":
        params["json"] = json.dumps({"precision_threshold": precision})
    return {"type": metric.function, "schema": "metric", "params": params}


def _over_time() -> Json:
    params = {
        "field": TIME_FIELD, "interval": "auto", "drop_partials": False, "min_doc_count": 1,
        "extended_bounds": {}, "customLabel": "Time",
    }  # fmt: skip
    return {"type": "date_histogram", "schema": "segment", "params": params}


def _terms(split: Split, *, schema: str) -> Json:
    params = {
        "field": split.field, "orderBy": _FIRST_METRIC, "order": "desc", "size": split.size,
        "otherBucket": False, "otherBucketLabel": "Other",
        "missingBucket": False, "missingBucketLabel": "Missing",
        "customLabel": split.label, "json": json.dumps({"shard_size": COMPARED}),
    }  # fmt: skip
    return {"type": "terms", "schema": schema, "params": params}


def _periods() -> Json:
    filters = [
        {"input": {"query": period.query, "language": "lucene"}, "label": period.label}
        for period in PERIODS
    ]
    return {"type": "filters", "schema": "group", "params": {"filters": filters}}


def _params(panel: Panel) -> Json:
    if panel.shape is Shape.NUMBER:
        return _number_params()
    if panel.shape is Shape.TABLE:
        return {
            "perPage": 15, "showPartialRows": False, "showMetricsAtAllLevels": False,
            "sort": {"columnIndex": None, "direction": None},
            "showTotal": False, "totalFunc": "sum", "percentageCol": "",
        }  # fmt: skip
    return _chart_params(panel)


def _number_params() -> Json:
    metric = {
        "percentageMode": False, "useRanges": False, "colorSchema": "Green to Red",
        "metricColorMode": "None", "colorsRange": [{"from": 0, "to": 10_000}],
        "labels": {"show": True}, "invertColors": False,
        "style": {
            "bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 48,
        },
    }  # fmt: skip
    return {"addTooltip": True, "addLegend": False, "type": "metric", "metric": metric}


def _chart_params(panel: Panel) -> Json:
    """Vertical bars over time, or horizontal ones."""
    is_timeline = panel.shape is Shape.TIMELINE
    label = panel.metrics[0].label
    category_axis = {
        "id": "CategoryAxis-1", "type": "category", "show": True, "style": {}, "title": {},
        "position": "bottom" if is_timeline else "left",
        "scale": {"type": "linear"},
        "labels": {"show": True, "rotate": 0, "filter": is_timeline, "truncate": 100},
    }  # fmt: skip
    value_axis = {
        "id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "show": True, "style": {},
        "position": "left" if is_timeline else "bottom",
        "scale": {"type": "linear", "mode": "normal"},
        "labels": {"show": True, "rotate": 0, "filter": not is_timeline, "truncate": 100},
        "title": {"text": label},
    }  # fmt: skip
    series = {
        "show": True, "type": "histogram", "mode": "stacked" if is_timeline else "normal",
        "data": {"label": label, "id": _FIRST_METRIC}, "valueAxis": "ValueAxis-1",
        "drawLinesBetweenPoints": True, "lineWidth": 2, "showCircles": True,
    }  # fmt: skip
    return {
        "type": _TYPES[panel.shape],
        "grid": {"categoryLines": False},
        "categoryAxes": [category_axis],
        "valueAxes": [value_axis],
        "seriesParams": [series],
        "addTooltip": True, "addLegend": is_timeline or panel.compares_periods,
        "legendPosition": "right", "times": [], "addTimeMarker": False, "labels": {},
        "thresholdLine": {
            "show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C",
        },
    }  # fmt: skip
