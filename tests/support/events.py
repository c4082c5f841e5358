"""An event: as the API server gives it, as a client writes it, as the watcher reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from eventrouter.kube.schema import Event, untyped_event

UID = "0d1fa6a5-9fc6-4f2c-9d7c-3b6c6ad0f3a1"

_EVENT: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {
        "name": "api-1.17f3",
        "namespace": "shop",
        "uid": UID,
        "resourceVersion": "1207",
        "creationTimestamp": "2026-03-04T05:06:07Z",
        "managedFields": [
            {"manager": "kubelet", "operation": "Update", "time": "2026-03-04T05:06:07Z"}
        ],
    },
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "api-1"},
    "reason": "Unhealthy",
    "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
    "source": {"component": "kubelet", "host": "worker-1"},
    "firstTimestamp": "2026-03-04T05:06:07Z",
    "lastTimestamp": "2026-03-04T05:06:07Z",
    "count": 1,
    "type": "Warning",
    "eventTime": None,
    "reportingComponent": "kubelet",
    "reportingInstance": "worker-1",
}


def todays_index(prefix: str = "kube-events") -> str:
    """The index that an event of now goes to."""
    return f"{prefix}-{datetime.now(UTC):%Y.%m.%d}"


def state_id(event: Mapping[str, Any]) -> str:
    """The id of the record of this state."""
    return f"{event['metadata']['uid']}-{event['metadata']['resourceVersion']}"


def make_event(
    metadata: dict[str, Any] | None = None, without: tuple[str, ...] = (), **fields: Any
) -> dict[str, Any]:
    """A kubelet's event as the API server gives it, with these fields and not those of `without`.

    Always a new one: shaping takes an event apart.
    """
    event = copy.deepcopy(_EVENT)
    event["metadata"] |= metadata or {}
    event |= fields
    for name in without:
        event["metadata"].pop(name, None)
        event.pop(name, None)
    return event


def event_to_write(
    name: str = "api-1.17f3", *, namespace: str = "shop", **fields: Any
) -> dict[str, Any]:
    """An event as a client writes it: without anything that the API server adds."""
    event = make_event(without=("kind", "apiVersion", "eventTime"))
    event["metadata"] = {"name": name, "namespace": namespace}
    event["involvedObject"]["namespace"] = namespace
    return event | fields


def read(event: dict[str, Any]) -> Event:
    """The event as the parser hands it on: an Event if it fits the types, else an UntypedEvent."""
    try:
        return msgspec.json.decode(json.dumps(event).encode(), type=Event)
    except (ValueError, RecursionError):
        return untyped_event(event)
