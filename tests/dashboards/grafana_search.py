"""What Grafana's Elasticsearch data source asks for a panel: from a target to a search's body.

It follows `time_series_query.go` of Grafana 11, as far as our panels go; anything else in a panel
is an error.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def search_body(target: Json, *, time_from: str = "now-2d", interval: str = "1h") -> Json:
    """The search for one target. `auto` intervals become `interval`."""
    assert target["timeField"] == "@timestamp"
    during = {"range": {"@timestamp": {"gte": time_from, "lte": "now"}}}
    filters = [during]
    if target["query"]:
        filters.append(_lucene(target["query"]))
    query = {"bool": {"filter": filters}}
    metrics = target["metrics"]
    if not target["bucketAggs"]:
        (raw,) = metrics
        assert raw["type"] == "raw_data"
        newest = [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}]
        return {"size": int(raw["settings"]["size"]), "query": query, "sort": newest}
    nested = {each["id"]: _metric(each) for each in metrics if each["type"] != "count"}
    assert target["bucketAggs"][-1]["type"] != "filters", "Grafana reads no answer of it"
    for each in reversed(target["bucketAggs"]):
        level = {each["id"]: _bucket(each, metrics, interval)}
        # A terms aggregation carries the metric that it is ordered by.
        inner = {} if each is target["bucketAggs"][-1] else _ordering(each, metrics)
        if nested or inner:
            level[each["id"]]["aggs"] = {**inner, **nested}
        nested = level
    return {"size": 0, "query": query, "aggs": nested}


def _lucene(query: str) -> Json:
    return {"query_string": {"query": query, "analyze_wildcard": True}}


def _metric(each: Json) -> Json:
    # As text, as Grafana passes them on: Elasticsearch and OpenSearch read numbers in text.
    return {each["type"]: {"field": each["field"], **each.get("settings", {})}}


def _ordering(each: Json, metrics: list[Json]) -> Json:
    by = each["settings"].get("orderBy")
    return {
        metric["id"]: {metric["type"]: {"field": metric["field"]}}
        for metric in metrics
        if metric["id"] == by
    }


def _bucket(each: Json, metrics: list[Json], interval: str) -> Json:
    settings = dict(each["settings"])
    if each["type"] == "terms":
        by = settings.pop("orderBy")
        assert by == "_count" or by in {metric["id"] for metric in metrics}
        return {
            "terms": {
                "field": each["field"],
                "size": int(settings.pop("size")),
                "min_doc_count": int(settings.pop("min_doc_count")),
                "order": {by: settings.pop("order")},
                **settings,
            }
        }
    if each["type"] == "date_histogram":
        asked = settings.pop("interval")
        assert settings == {"min_doc_count": "0", "trimEdges": "0"}
        return {
            "date_histogram": {
                "field": each["field"],
                "fixed_interval": interval if asked == "auto" else asked,
                "min_doc_count": 0,
            }
        }
    assert each["type"] == "filters"
    return {
        "filters": {"filters": {one["label"]: _lucene(one["query"]) for one in settings["filters"]}}
    }
