"""The examples for users, at work on stand-ins: the right events arrive, and no others."""

from __future__ import annotations

import json
import re
import socketserver
import ssl
import threading
from typing import Any

import pytest
import yaml

from tests.chart.chart import EXAMPLES
from tests.chart.otlp import log_records
from tests.chart.sinks import LOGIN, SECONDS, Sink, send, wait_for_delivery
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

Json = dict[str, Any]


def event(reason, *, message="m", kind="Pod", namespace="shop", name="web-0", **fields):
    involved = {"kind": kind, "namespace": namespace, "name": name, "uid": f"uid-{name}"}
    return {"reason": reason, "message": message, "involvedObject": involved, **fields}


WARNING = event("BackOff", message='a "quoted" <text>\n\\', type="Warning", count=3)
EVENTS = [
    WARNING,
    event("Unhealthy", type="Warning"),
    event("Pulled", type="Normal"),
    event("NodeNotReady", kind="Node", namespace="", name="node-1", type="Normal"),
    event("BackOff", namespace="prod-a", name="web-1", type="Warning", count=20),
    event("BackOff", namespace="prod-a", name="web-2", type="Warning", count=19),
]


def example(name: str, output: str, sink: Any, **values: Any) -> Json:
    """An example's values, with a stand-in's address in place of the receiver's."""
    loaded: Json = yaml.safe_load(EXAMPLES[f"example {name}"].read_text())
    loaded["outputs"][output].update({"host": "127.0.0.1", "port": sink.port, **values})
    return loaded


PLAIN = {"enabled": False}


def bodies(sink):
    for request in sink.taken:
        assert request.headers["content-type"] == "application/json"
    return [json.loads(request.body) for request in sink.taken]


def test_slack_shows_warnings(start_sidecar):
    with Sink(then=200) as slack:
        values = example("slack", "slack", slack, tls=PLAIN)
        sidecar = start_sidecar(values, secrets={"slack": {"path": "/services/T/B/x"}})
        send(sidecar, EVENTS)
        wait_for_delivery(sidecar)
        assert {request.path for request in slack.taken} == {"/services/T/B/x"}
        assert sorted(body["text"] for body in bodies(slack)) == [
            "*BackOff* Pod `prod-a/web-1`: m",
            "*BackOff* Pod `prod-a/web-2`: m",
            '*BackOff* Pod `shop/web-0`: a "quoted" &lt;text&gt;\n\\',
        ]


def test_teams_gets_a_card(start_sidecar):
    with Sink(then=202) as teams:
        values = example("teams", "teams", teams, tls=PLAIN)
        path = "/workflows/0/triggers/manual/paths/invoke?api-version=1&sig=a-b_c%2F"
        sidecar = start_sidecar(values, secrets={"teams": {"path": path}})
        send(sidecar, EVENTS[:3])
        wait_for_delivery(sidecar)
        assert {request.path for request in teams.taken} == {path}
        texts = []
        for body in bodies(teams):
            assert body["type"] == "message"
            (attachment,) = body["attachments"]
            assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
            card = attachment["content"]
            assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
            assert {block["type"] for block in card["body"]} == {"TextBlock"}
            texts.append([block["text"] for block in card["body"]])
        assert sorted(texts) == [
            ["BackOff: Pod web-0", 'a "quoted" <text>\n\\', " 2026-03-04T05:06:07Z"],
            ["Unhealthy: Pod web-0", "m", " 2026-03-04T05:06:07Z"],
        ]


def test_a_webhook_gets_one_event_a_request(start_sidecar):
    # Of the two that are delivered together the second is refused at first: both come again.
    with Sink(200, 503, then=200) as server:
        values = example("webhook", "webhook", server, tls=PLAIN)
        sidecar = start_sidecar(values, secrets={"webhook": {"apiKey": "k-1"}})
        sent = send(sidecar, EVENTS[:2])
        wait_for_delivery(sidecar)
        for request in server.requests:
            assert (request.path, request.headers["x-api-key"]) == ("/events", "k-1")
        assert {body["id"] for body in bodies(server)} == {entry.id for entry in sent}
        assert all(set(body) == {"id", "time", "title", "description"} for body in bodies(server))

        others = send(sidecar, EVENTS[2:], first=2)
        wait_for_delivery(sidecar)
        assert {body["id"] for body in bodies(server)} - {entry.id for entry in sent} == {
            entry.id for entry in others if entry.record["event"]["reason"] == "Pulled"
        }


def test_of_requests_that_are_sent_together_only_the_last_ones_answer_counts(start_sidecar):
    """A fault of Fluent Bit 5.1.1, which the example speaks of."""
    with Sink(503, then=200) as server:
        values = example("webhook", "webhook", server, tls=PLAIN)
        sidecar = start_sidecar(values, secrets={"webhook": {"apiKey": "k-1"}})
        _, second = send(sidecar, EVENTS[:2])
        wait_for_delivery(sidecar)
        assert [body["id"] for body in bodies(server)] == [second.id]


def test_pagerduty_is_told_of_what_should_wake_somebody(start_sidecar):
    with Sink(then=202) as pagerduty:
        values = example("pagerduty", "pagerduty", pagerduty, tls=PLAIN)
        sidecar = start_sidecar(values, secrets={"pagerduty": {"routingKey": "R" * 32}})
        send(sidecar, EVENTS)
        wait_for_delivery(sidecar)
        incidents = bodies(pagerduty)
        for incident in incidents:
            assert set(incident) == {"routing_key", "event_action", "dedup_key", "payload"}
            assert incident["routing_key"] == "R" * 32
            assert incident["event_action"] == "trigger"
            assert incident["payload"]["severity"] in {"critical", "error", "warning", "info"}
            assert {"summary", "source"} <= set(incident["payload"])
        assert {incident["dedup_key"] for incident in incidents} == {
            "uid-node-1/NodeNotReady",
            "uid-web-1/BackOff",
        }


def test_loki_gets_lines_with_few_labels(start_sidecar):
    with Sink(then=204) as loki:
        values = example("loki", "loki", loki, tls=PLAIN)
        sidecar = start_sidecar(values, secrets={"loki": {"token": LOGIN["token"]}})
        sent = send(sidecar, EVENTS)
        wait_for_delivery(sidecar)
        streams = [
            stream for request in loki.taken for stream in json.loads(request.body)["streams"]
        ]
        for request in loki.taken:
            assert request.headers["x-scope-orgid"] == "platform"
            assert request.headers["authorization"] == f"Bearer {LOGIN['token']}"
        assert {tuple(sorted(stream["stream"])) for stream in streams} == {("job", "kind", "type")}
        lines = [json.loads(line) for stream in streams for _, line in stream["values"]]
        assert {line["id"] for line in lines} == {entry.id for entry in sent}


def test_a_collector_gets_messages_with_attributes(start_sidecar):
    with Sink(then=200) as collector:
        values = example("opentelemetry", "opentelemetry", collector)
        sidecar = start_sidecar(values)
        sent = send(sidecar, EVENTS)
        wait_for_delivery(sidecar)
        records = []
        for request in collector.taken:
            assert request.path == "/v1/logs"
            assert request.headers["content-type"] == "application/x-protobuf"
            records += log_records(request.body)
        got = {record.attributes["id"]: record for record in records}
        assert got.keys() == {entry.id for entry in sent}
        for entry in sent:
            record = got[entry.id]
            assert record.body == entry.record["event"]["message"]
            assert record.time_unix_nano == entry.nanoseconds
            assert record.attributes["event"]["reason"] == entry.record["event"]["reason"]


class SyslogServer(socketserver.ThreadingTCPServer):
    """Takes messages that end with a newline, over TLS."""

    daemon_threads = True

    def __init__(self, certificate):
        lines: list[str] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                lines.extend(line.decode().rstrip("\n") for line in self.rfile)

        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = self.server_address[1]
        self.lines = lines

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object):
        self.shutdown()
        self.server_close()


RFC5424 = re.compile(r"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|\[.*?\]) \ufeff?(.*)", re.DOTALL)


def test_syslog_gets_messages_of_rfc_5424(start_sidecar, certificate):
    with SyslogServer(certificate) as server:
        values = yaml.safe_load(EXAMPLES["example syslog"].read_text())
        values["outputs"]["syslog"]["extra"].update(host="127.0.0.1", port=server.port)
        ca = certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2]
        sidecar = start_sidecar(values, secrets={"syslog-ca": {"ca.crt": ca}})
        sent = send(sidecar, [event("Pulled", message="x" * 40_000), event("BackOff")])
        eventually(lambda: len(server.lines) >= len(sent), timeout=SECONDS, what="both messages")
        got = set()
        for line in server.lines:
            found = RFC5424.fullmatch(line)
            assert found, line[:200]
            _, time, host, app, _, msgid, _, message = found.groups()
            assert (app, host) == ("eventrouter", "worker-1")
            assert time.startswith("2026-03-04T05:06:07")
            got.add((msgid, message))
        assert got == {("Pulled", "x" * 40_000), ("BackOff", "m")}


def hook_values(name, sink, **more):
    values = yaml.safe_load(EXAMPLES[f"example {name}"].read_text())
    hook = {"type": "http", "host": "127.0.0.1", "port": sink.port, "tls": PLAIN}
    return {**values, "outputs": {"hook": {**hook, **more}}}


def test_secrets_in_messages_are_masked_and_nothing_else_changes(start_sidecar):
    messages = {
        "login failed: password=hunter2, user=a": "login failed: password=***, user=a",
        "Token: abc.def; as Bearer eyJ.a-b_c/+==": "Token: ***; as Bearer ***",
        "dial https://user:p%40ss@example.com:443/x": "dial https://user:***@example.com:443/x",
        "nothing secret: passwords are policy": "nothing secret: passwords are policy",
    }
    with Sink(then=200) as sink:
        sidecar = start_sidecar(hook_values("mask-secrets", sink))
        sent = send(sidecar, [event("A", message=text, eventTime=None) for text in messages])
        wait_for_delivery(sidecar)
        lines = [line for request in sink.taken for line in request.body.splitlines()]
        got = {record["id"]: record for record in map(json.loads, lines)}
        for entry in sent:
            entry.record["event"]["message"] = messages[entry.record["event"]["message"]]
        assert got == {entry.id: entry.record for entry in sent}


def test_a_chat_is_throttled_and_no_other_output(start_sidecar):
    with Sink(then=200) as chat, Sink(then=200) as other:
        values = example("throttle-a-chat", "chat", chat, tls=PLAIN)
        hook = {"type": "http", "host": "127.0.0.1", "port": other.port, "tls": PLAIN}
        values["outputs"]["other"] = hook
        sidecar = start_sidecar(values, secrets={"slack": {"path": "/x"}})
        sent = send(
            sidecar, [event("BackOff", type="Warning", name=f"web-{n}") for n in range(200)]
        )
        wait_for_delivery(sidecar)
        assert 1 <= len(bodies(chat)) <= 35
        lines = [line for request in other.taken for line in request.body.splitlines()]
        assert len(lines) == len(sent)


def test_elasticsearch_gets_the_fields_of_kubernetes_event_exporter(start_sidecar):
    with Sink(then=200, answer=b'{"took":1,"errors":false,"items":[]}') as server:
        values = example("kubernetes-event-exporter-fields", "elasticsearch", server, tls=PLAIN)
        values["extraFields"] = {"cluster-of-the-test": "x"}
        sidecar = start_sidecar(
            values,
            secrets={"elasticsearch-login": {"username": "u", "password": "p"}},
            edit=lambda outputs: outputs["elasticsearch"].pop("compress"),
        )
        (entry,) = send(sidecar, [WARNING])
        wait_for_delivery(sidecar)
        (request,) = server.taken
        action, document = map(json.loads, request.body.splitlines())
        assert action["create"]["_id"] == entry.id
        assert action["create"]["_index"] == "kube-event-exporter-2026.03.04"
        del document["@timestamp"], document["cluster-of-the-test"]
        assert document == {**entry.record["event"], "id": entry.id}
