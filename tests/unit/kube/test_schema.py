"""The Event that is read by its types: all of the API's fields, and what does not fit is odd."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from kubernetes import client
from msgspec import UNSET

from eventrouter.kube import schema
from eventrouter.kube.schema import Event, ObjectMeta, UntypedEvent, untyped_event
from tests.support.events import UID, make_event, read
from tests.support.strange import strange_events

_OF_API = [
    (schema.Event, client.CoreV1Event),
    (schema.ObjectMeta, client.V1ObjectMeta),
    (schema.ObjectReference, client.V1ObjectReference),
    (schema.OwnerReference, client.V1OwnerReference),
    (schema.EventSource, client.V1EventSource),
    (schema.EventSeries, client.CoreV1EventSeries),
]


@pytest.mark.parametrize(("struct", "model"), _OF_API, ids=lambda part: part.__name__)
def test_the_fields_are_those_of_the_api(struct: type[msgspec.Struct], model: Any) -> None:
    """One that is missing here would make every event that has it odd, and slow."""
    assert set(struct.__struct_encode_fields__) == set(model.attribute_map.values())


def test_an_event_with_every_field_is_packed_as_it_came() -> None:
    reference = {
        "kind": "Pod", "namespace": "shop", "name": "web", "uid": "u", "apiVersion": "v1",
        "resourceVersion": "7", "fieldPath": "spec.containers{web}",
    }  # fmt: skip
    event = make_event(
        {
            "generateName": "web-", "selfLink": "/api", "generation": 3,
            "deletionTimestamp": "2026-03-04T05:06:08Z", "deletionGracePeriodSeconds": 30,
            "labels": {"a": "b"}, "annotations": {"c": ""}, "finalizers": ["f"],
            "ownerReferences": [
                {
                    "apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u",
                    "controller": True, "blockOwnerDeletion": False,
                }
            ],
        },
        without=("managedFields",),
        involvedObject=reference,
        related=reference,
        action="Pulling",
        series={"count": 2**31, "lastObservedTime": "2026-03-04T05:06:08.000001Z"},
    )  # fmt: skip

    assert type(read(event)) is Event
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(read(event))) == event


@pytest.mark.parametrize("version", ["", "x", "-1", "1.0", "١٢", "1" * 101])
def test_an_event_whose_version_is_no_number_is_odd_and_has_none(version: str) -> None:
    event = read(make_event({"resourceVersion": version}))

    assert isinstance(event, UntypedEvent)
    assert event.metadata.resource_version == ""
    assert event.metadata.uid == UID


@pytest.mark.parametrize("uid", ["", 'a"b', "a\n", "ü", "a" * 401])
def test_an_event_whose_uid_no_document_can_have_is_odd_and_has_none(uid: str) -> None:
    event = read(make_event({"uid": uid}))

    assert isinstance(event, UntypedEvent)
    assert event.metadata.uid == ""
    assert event.metadata.resource_version == "1207"


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 2**63},
        {"count": 1.0},
        {"message": None},
        {"source": None},
        {"new": 1},
        {"type": 5},
    ],
    ids=repr,
)
def test_an_event_with_a_field_that_the_api_does_not_have_so_is_odd_and_whole(
    changes: dict[str, Any],
) -> None:
    event = read(make_event(**changes))

    assert isinstance(event, UntypedEvent)
    assert event.raw == make_event(**changes)


def test_of_an_untyped_event_is_believed_what_has_its_type() -> None:
    created, observed = "2026-03-04T05:06:07Z", "2026-03-04T05:06:08.000001Z"
    event = untyped_event(
        {
            "metadata": {"uid": 7, "resourceVersion": "12", "creationTimestamp": created, "x": 1},
            "series": {"count": "many", "lastObservedTime": observed},
            "type": "Warning",
            "message": 5,
            "count": "\ud800",
        }
    )

    assert event.metadata.creation_timestamp == created
    assert (event.metadata.uid, event.metadata.resource_version) == ("", "12")
    assert event.series
    assert (event.series.last_observed_time, event.series.count) == (observed, msgspec.UNSET)
    assert (event.type, event.message, event.count) == ("Warning", msgspec.UNSET, msgspec.UNSET)


@given(strange_events)
def test_any_object_at_all_can_be_an_untyped_event(raw: dict[str, Any]) -> None:
    assert untyped_event(raw).raw is raw


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_managed_fields_are_read_for_their_times_alone(writes: int) -> None:
    managed = [{"manager": "m", "time": f"2026-03-0{n + 1}T00:00:00Z"} for n in range(writes)]

    metadata = json.dumps({"uid": "a", "resourceVersion": "1", "managedFields": managed})
    times = msgspec.json.decode(metadata, type=ObjectMeta).managed_fields

    assert [entry.time for entry in times or ()] == [entry["time"] for entry in managed]


def test_half_a_surrogate_pair_is_in_no_field_that_is_read() -> None:
    """Such a field is shown and counted by its text, which UTF-8 cannot encode."""
    event = read(make_event(reason="\ud800", source={"host": "\ud800", "component": "kubelet"}))

    assert type(event) is UntypedEvent
    assert event.reason is UNSET
    assert event.source is UNSET
