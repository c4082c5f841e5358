"""Outputs that post a text of their own for each event, at work on stand-ins for the receivers."""

from __future__ import annotations

import json

import pytest

from tests.chart.sinks import Sink, send, wait_for_delivery

pytestmark = pytest.mark.e2e

SECRETS = {
    "platform": {"path": "/services/T1/B1/platform"},
    "shop": {"path": "/services/T1/B2/shop"},
    "pager": {"path": "/v2/enqueue", "key": 'a"key'},
}
WARNING = {"type": "Warning", "reason": "BackOff", "message": 'a <b> & "c"\n\\d\x01 日本語'}
NORMAL = {"type": "Normal", "reason": "Pulled", "message": "pulled"}


def chat(port, secret, **values):
    """A Slack that listens here, without TLS."""
    return {
        "type": "slack",
        "host": "127.0.0.1",
        "port": port,
        "tls": {"enabled": False},
        "auth": {"existingSecret": secret},
        **values,
    }


def posted(sink):
    """The requests' bodies, each of which must be JSON."""
    return [json.loads(request.body) for request in sink.taken]


def test_two_chats_get_readable_texts_of_their_own(start_sidecar):
    with Sink(then=200) as platform, Sink(503, then=200) as shop:
        outputs = {
            "platform": chat(platform.port, "platform", match="*.warning"),
            "shop": chat(shop.port, "shop", text="%{event.reason}: %{nothing}%{event}%{time}"),
        }
        values = {"outputs": outputs, "clusterName": "prod"}
        sidecar = start_sidecar(values, secrets=SECRETS)
        send(sidecar, [WARNING, NORMAL])
        wait_for_delivery(sidecar)

        # The stand-in's watcher gave the records no cluster.
        assert posted(platform) == [
            {"text": '[] *Warning* BackOff: Pod shop/api-1\na &lt;b&gt; &amp; "c"\n\\d\x01 日本語'}
        ]
        assert sorted(body["text"] for body in posted(shop)) == [
            "BackOff: 2026-03-04T05:06:07Z",
            "Pulled: 2026-03-04T05:06:07Z",
        ]
        for sink, path in ((platform, "platform"), (shop, "shop")):
            for request in sink.requests:
                assert request.path == SECRETS[path]["path"]
                assert request.headers["content-type"] == "application/json"


def test_a_body_has_fields_and_variables_and_is_posted_once_for_each_event(start_sidecar):
    body = {"routing_key": "${KEY}", "summary": "%{event.reason} %{event.message}", "n": "%{id}"}
    with Sink(then=202) as pager:
        output = {
            "type": "http",
            "host": "127.0.0.1",
            "port": pager.port,
            "tls": {"enabled": False},
            "body": json.dumps(body, indent=2),
            "headers": {"X-Team": "platform on call"},
            "auth": {"existingSecret": "pager", "pathKey": "path"},
        }
        key = {"secretKeyRef": {"name": "pager", "key": "key"}}
        values = {
            "outputs": {"pager": output},
            "fluentBit": {"env": [{"name": "KEY", "valueFrom": key}]},
        }
        sidecar = start_sidecar(values, secrets=SECRETS)
        sent = send(sidecar, [WARNING, NORMAL, NORMAL])
        wait_for_delivery(sidecar)

        bodies = sorted(posted(pager), key=lambda body: str(body["n"]))
        assert [body["n"] for body in bodies] == sorted(entry.id for entry in sent)
        assert {body["routing_key"] for body in bodies} == {'a"key'}
        summaries = {body["summary"] for body in bodies}
        assert summaries == {f"BackOff {WARNING['message']}", "Pulled pulled"}
        assert {request.headers["x-team"] for request in pager.taken} == {"platform on call"}


def test_kafkas_messages_get_the_objects_uid_and_lose_nothing(start_sidecar):
    """What the chart has Fluent Bit do for `messageKey: objectUid`, into a receiver of JSON."""
    with Sink(then=200) as server:
        hook = {"type": "http", "host": "127.0.0.1", "port": server.port, "format": "json"}
        sidecar = start_sidecar(
            {
                "outputs": {
                    "kafka": {"type": "kafka", "brokers": "a", "messageKey": "objectUid"},
                    "hook": {**hook, "tls": {"enabled": False}},
                }
            },
            edit=lambda outputs: outputs["hook"].update(
                processors=outputs.pop("kafka")["processors"]
            ),
        )
        first = {"involvedObject": {"kind": "Pod", "name": "web", "uid": "u-1"}, "count": 2**31 - 1}
        sent = send(sidecar, [first, {"involvedObject": {"kind": "Node", "name": "n"}}])
        wait_for_delivery(sidecar)

        records = [record for request in server.taken for record in json.loads(request.body)]
        uids = {record["id"]: record.pop("objectUid", None) for record in records}
        assert sorted(records, key=lambda record: str(record["id"])) == [
            entry.record for entry in sent
        ]
        assert sorted(map(str, uids.values())) == ["None", "u-1"]
