"""The answer to a panel's search as a flat table: the keys of the buckets, and the numbers."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Row = tuple[str, ...]


def rows(body: Json, answer: Json) -> dict[Row, tuple[float | None, ...]]:
    """The numbers in each innermost bucket, by the keys on the way to it.

    A count of documents is the one number where the search has no metric. Empty buckets, which
    charts show as nothing, are left out.
    """
    found: dict[Row, tuple[float | None, ...]] = {}
    total = answer["hits"].get("total", {}).get("value", 0)
    _walk(body["aggs"], {**answer["aggregations"], "doc_count": total}, (), found)
    return found


def _walk(
    asked: Json, answered: Json, way: Row, found: dict[Row, tuple[float | None, ...]]
) -> None:
    buckets = [name for name, each in asked.items() if each.keys() & _BUCKETS]
    if not buckets:
        if answered["doc_count"]:
            numbers = [answered[name]["value"] for name in asked] or [answered["doc_count"]]
            found[way] = tuple(numbers)
        return
    (name,) = buckets
    inner = asked[name].get("aggs", {})
    inside = answered[name]["buckets"]
    pairs = (
        inside.items()
        if isinstance(inside, dict)
        else [(bucket.get("key_as_string", bucket["key"]), bucket) for bucket in inside]
    )
    for key, bucket in pairs:
        _walk(inner, bucket, (*way, str(key)), found)


_BUCKETS = {"terms", "date_histogram", "filters"}
