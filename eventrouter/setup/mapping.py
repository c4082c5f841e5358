"""How the fields of a record are indexed. Pure.

Fields that people search by are named here. The rest is stored and not indexed, so that nothing
that an event can hold is ever refused: `dynamic` is false, and a malformed number or date is
ignored.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

Json = dict[str, Any]


class Server(Enum):
    """Which server is set up. The value is its name in sentences."""

    ELASTICSEARCH = "Elasticsearch"
    OPENSEARCH = "OpenSearch"


# Lucene refuses a term of more than 32,766 bytes, and a character has up to four. Elasticsearch
# leaves a longer value out of the index.
_MESSAGE_CHARACTERS = 8191

_KEYWORD: Json = {"type": "keyword", "ignore_above": 1024}
_DATE: Json = {"type": "date", "ignore_malformed": True}
_LONG: Json = {"type": "long", "ignore_malformed": True}
_STORED: Json = {"type": "object", "enabled": False}
_FLATTENED: Json = {"type": "flattened", "ignore_above": 1024}


def _keywords(*names: str) -> Json:
    return dict.fromkeys(names, _KEYWORD)


def _object(properties: Json) -> Json:
    return {"properties": properties}


_REFERENCE = _object(
    _keywords("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
# OpenSearch's type flat_object refuses values of more than 32 kB. Labels are shorter; annotations
# may be longer, and are stored only.
_TEXTS: dict[Server, Json] = {
    Server.ELASTICSEARCH: {"labels": _FLATTENED, "annotations": _FLATTENED},
    Server.OPENSEARCH: {"labels": {"type": "flat_object"}, "annotations": _STORED},
}


def mappings(server: Server) -> Json:
    """The mappings of an index of events."""
    event = {
        "metadata": _object(
            {
                **_keywords("name", "namespace", "uid", "resourceVersion"),
                "creationTimestamp": _DATE,
                **_TEXTS[server],
            }
        ),
        **_keywords("type", "reason", "action"),
        "message": {
            "type": "text",
            "fields": {"keyword": {"type": "keyword", "ignore_above": _MESSAGE_CHARACTERS}},
        },
        "count": _LONG,
        "eventTime": _DATE,
        "firstTimestamp": _DATE,
        "lastTimestamp": _DATE,
        "series": _object({"count": _LONG, "lastObservedTime": _DATE}),
        "involvedObject": _REFERENCE,
        "related": _REFERENCE,
        "source": _object(_keywords("component", "host")),
        **_keywords("reportingComponent", "reportingInstance"),
    }
    # Of the object that the event is about. Not flattened as a whole: Kibana lists no field of
    # such a one.
    about = {**_TEXTS[server], "owner": _object(_keywords("kind", "name", "uid"))}
    return {
        "dynamic": False,
        "properties": {
            "@timestamp": {"type": "date"},
            **_keywords("verb", "id", "cluster", "truncated"),
            "event": _object(event),
            "object": _object({**about, **_keywords("node")}),
            "old_event": _STORED,
        },
    }
