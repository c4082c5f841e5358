"""What a real API server hands out is read by its types, with nothing left over."""

from __future__ import annotations

import json
import random

import pytest
from msgspec import UNSET, to_builtins

from eventrouter.kube.parsing import Added, Updated, parse_page, watch_events
from eventrouter.kube.schema import Event
from tests.e2e.load import core_event, new_event
from tests.programs.apiserver import ApiServer

pytestmark = pytest.mark.e2e


def test_no_event_of_a_real_api_server_is_untyped(apiserver: ApiServer) -> None:
    """One that were would cost several times as much. Of both groups, with every field that a
    client may write, from a list and from a watch."""
    client, rng = apiserver.client, random.Random(1)
    named = {
        "labels": {"app": "web"},
        "annotations": {"note": "Zurück 😀"},
        "finalizers": ["example.com/kept"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "1-2-3"}],
    }
    for number in range(20):
        core = core_event(rng, f"core-{number}", "Zurück\n")
        core["metadata"] |= named
        core["related"] = core["involvedObject"]
        client.create_event(core)
        new = new_event(rng, f"new-{number}", "text")
        new["metadata"] |= named
        created = client.create_event(new, group="events")
        created["series"] = {"count": 2, "lastObservedTime": created["eventTime"]}
        client.update_event(created, group="events")

    listed = client.request("GET", "/api/v1/events").data
    lines = client.request("GET", "/api/v1/events?watch=1&resourceVersion=0&timeoutSeconds=1").data
    events = list(parse_page(listed).items)
    items = watch_events(lines.splitlines())
    watched = [item.event for item in items if isinstance(item, Added | Updated)]

    assert len(events) >= 40
    assert len(watched) >= 40
    assert {type(event) for event in events + watched} == {Event}
    for event, item in zip(events, json.loads(listed)["items"], strict=True):
        event.metadata.managed_fields = UNSET
        del item["metadata"]["managedFields"]
        assert to_builtins(event) == item
