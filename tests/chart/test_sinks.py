"""Typed outputs of the chart at work, also on receivers that refuse at first or die."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from tests.chart.sinks import LOGIN, SECONDS, Entry, Sink, send, wait_for_delivery
from tests.programs import FluentBit
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

AGGREGATOR = """
service:
  flush: 0.2
  log_level: warn
  http_server: on
  http_listen: 127.0.0.1
  http_port: ${HTTP_PORT}
  health_check: on
pipeline:
  inputs:
    - name: forward
      listen: 127.0.0.1
      port: ${FORWARD_PORT}
      shared_key: ${KEY}
      security.users: ${USER} ${PASSWORD}
      self_hostname: aggregator
      tls: on
      tls.crt_file: ${CERTIFICATE}
      tls.key_file: ${CERTIFICATE}
  outputs:
    - {name: file, match: "*", file: "${RECEIVED}"}
"""


@pytest.fixture
def secrets(certificate):
    """The cluster's Secrets."""
    ca = certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2]
    return {"login": LOGIN, "certificates": {"ca.crt": ca}}


@pytest.fixture
def aggregator(fluent_bit, certificate, tmp_path):
    """A Fluent Bit that others pass their events on to; it writes them into the file `received`."""
    config = tmp_path / "aggregator.yaml"
    config.write_text(AGGREGATOR)
    variables = {
        "KEY": LOGIN["sharedKey"],
        "USER": LOGIN["username"],
        "PASSWORD": LOGIN["password"],
        "CERTIFICATE": str(certificate),
        "RECEIVED": str(tmp_path / "received"),
    }
    folder = tmp_path / "aggregator"
    with FluentBit(folder, binary=fluent_bit, config=config, variables=variables) as running:
        yield running


def received_entries(path: Path) -> list[Entry]:
    """What the aggregator has written, by id."""
    entries = []
    written = path.read_text() if path.exists() else ""
    for line in written.split("\n")[:-1]:  # of one without an end the rest is still to come
        tag, _, entry = line.partition(": ")
        time, record = json.loads(entry, parse_float=Decimal)
        entries.append(Entry(record["id"], tag, int(time * 10**9), record))
    return sorted(entries, key=lambda entry: entry.id)


def unread_bytes(port: int) -> int:
    """What the kernel holds of this port's connections until their program reads it."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(received.rpartition(":")[2], 16)
        for _, local, _, state, received, *_ in lines
        if local.endswith(f":{port:04X}") and state == "01"
    )


def test_what_an_aggregator_did_not_acknowledge_before_its_end_is_sent_again(
    aggregator, start_sidecar, secrets, tmp_path
):
    sink = {
        "type": "forward",
        "host": "127.0.0.1",
        "port": aggregator.forward_port,
        "auth": {
            "existingSecret": "login",
            "usernameKey": "username",
            "passwordKey": "password",
        },
        "tls": {"enabled": True, "existingSecret": "certificates"},
    }
    received = partial(received_entries, tmp_path / "received")
    sidecar = start_sidecar({"outputs": {"forward": sink}}, secrets=secrets)
    sent = send(sidecar)
    eventually(lambda: received() == sent, timeout=SECONDS, what="the first events")

    aggregator.freeze()
    sent += send(sidecar, first=len(sent))
    port = aggregator.forward_port
    eventually(lambda: unread_bytes(port) > 0, timeout=SECONDS, what="events on their way")
    aggregator.kill()
    aggregator.start()
    wait_for_delivery(sidecar)
    eventually(lambda: len(received()) >= len(sent), timeout=SECONDS, what="their arrival")
    assert received() == sent


def test_what_an_http_server_refused_comes_again_with_login_and_headers(
    start_sidecar, certificate, secrets
):
    with Sink(503, 503, then=200, certificate=certificate) as server:
        sink = {
            "type": "http",
            "host": "127.0.0.1",
            "port": server.port,
            "uri": "/events?source=kubernetes",
            "headers": {"X-Tenant": "${TENANT}", "X-Team": "platform on call"},
            "auth": {"existingSecret": "login"},
            "tls": {"existingSecret": "certificates"},
        }
        variables = [{"name": "TENANT", "value": "a-tenant"}]
        sidecar = start_sidecar(
            {"outputs": {"http": sink}, "fluentBit": {"env": variables}}, secrets=secrets
        )
        sent = send(sidecar)
        wait_for_delivery(sidecar)

        assert [request.status for request in server.requests] == [503, 503, 200, 200, 200]
        login = f"{LOGIN['username']}:{LOGIN['password']}".encode()
        for request in server.requests:
            assert request.path == "/events?source=kubernetes"
            assert request.headers["authorization"] == f"Basic {base64.b64encode(login).decode()}"
            assert request.headers["x-tenant"] == "a-tenant"
            assert request.headers["x-team"] == "platform on call"
        lines = [line for request in server.taken for line in request.body.split(b"\n") if line]
        received = sorted(map(json.loads, lines), key=lambda record: record["id"])
        assert received == [entry.record for entry in sent]


def test_what_loki_refused_comes_again_with_labels_tenant_and_token(start_sidecar, secrets):
    with Sink(500, 500, then=204) as loki:
        sink = {
            "type": "loki",
            "host": "127.0.0.1",
            "port": loki.port,
            "tenantId": "a-tenant",
            "auth": {"existingSecret": "login", "tokenKey": "token"},
        }
        sidecar = start_sidecar({"outputs": {"loki": sink}}, secrets=secrets)
        sent = send(sidecar)
        wait_for_delivery(sidecar)

        assert [request.status for request in loki.requests] == [500, 500, 204, 204, 204]
        for request in loki.requests:
            assert request.path == "/loki/api/v1/push"
            assert request.headers["authorization"] == f"Bearer {LOGIN['token']}"
            assert request.headers["x-scope-orgid"] == "a-tenant"
        received = [
            (int(nanoseconds), json.loads(line), stream["stream"])
            for request in loki.taken
            for stream in json.loads(request.body)["streams"]
            for nanoseconds, line in stream["values"]
        ]
        expected = []
        for entry in sent:
            # What is a label, Fluent Bit takes out of the line.
            labels = {"job": "eventrouter", "type": entry.record["event"].pop("type")}
            expected.append((entry.nanoseconds, entry.record, labels))
        assert sorted(received, key=lambda entry: entry[1]["id"]) == expected
