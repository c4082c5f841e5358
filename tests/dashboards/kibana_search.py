"""What Kibana asks Elasticsearch for a panel: from a saved object to the body of a search.

It follows `AggConfigs.toDsl` and `buildEsQuery` of Kibana 7.10, as far as our panels go; anything
else in a panel is an error.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]
# What a user may leave as it is: it changes how the answer is drawn, or only the default.
_IGNORED = {
    "customLabel", "otherBucket", "otherBucketLabel", "missingBucket", "missingBucketLabel",
    "drop_partials", "extended_bounds",
}  # fmt: skip


def search_body(saved: Json, *, time_from: str = "now-2d", interval: str = "1h") -> Json:
    """The search for a visualization or a saved search. `auto` intervals become `interval`."""
    attributes = saved["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["query"]["language"] == "lucene"
    assert source["filter"] == []
    during = {"range": {"@timestamp": {"gte": time_from, "lte": "now"}}}
    query = {"bool": {"filter": [during, _lucene(source["query"]["query"])]}}
    if saved["type"] == "search":
        sort = [{field: {"order": order}} for field, order in attributes["sort"]]
        return {"size": 500, "query": query, "sort": sort}
    aggregations = json.loads(attributes["visState"])["aggs"]
    assert all(each["enabled"] for each in aggregations)
    metrics = [each for each in aggregations if each["schema"] == "metric"]
    # Kibana nests the buckets in the order in which they are listed; the metrics are the leaves.
    leaves = {each["id"]: _metric(each) for each in metrics if each["type"] != "count"}
    nested = leaves
    for each in reversed([each for each in aggregations if each["schema"] != "metric"]):
        level = {each["id"]: _bucket(each, metrics, interval)}
        # A terms aggregation carries the metric that it is ordered by.
        by = each["params"].get("orderBy")
        ordering = {id_: body for id_, body in leaves.items() if id_ == by}
        if nested or ordering:
            level[each["id"]]["aggs"] = {**ordering, **nested}
        nested = level
    return {"size": 0, "track_total_hits": True, "query": query, "aggs": nested}


def _lucene(query: str) -> Json:
    if not query:
        return {"match_all": {}}
    return {"query_string": {"query": query, "analyze_wildcard": True}}


def _metric(each: Json) -> Json:
    params = dict(each["params"])
    more = json.loads(params.pop("json", "{}"))
    params.pop("customLabel")
    assert params.keys() == {"field"}
    return {each["type"]: {**params, **more}}


def _bucket(each: Json, metrics: list[Json], interval: str) -> Json:
    params = {name: value for name, value in each["params"].items() if name not in _IGNORED}
    if each["type"] == "terms":
        assert each["params"]["missingBucket"] is False
        by = next(metric for metric in metrics if metric["id"] == params.pop("orderBy"))
        key = "_count" if by["type"] == "count" else by["id"]
        more = json.loads(params.pop("json", "{}"))
        order = {key: params.pop("order")}
        return {"terms": {**params, **more, "order": order}}
    if each["type"] == "date_histogram":
        assert params.pop("interval") == "auto"
        return {"date_histogram": {**params, "fixed_interval": interval, "time_zone": "UTC"}}
    assert each["type"] == "filters"
    filters = {one["label"]: _lucene(one["input"]["query"]) for one in params.pop("filters")}
    assert not params
    return {"filters": {"filters": filters}}
