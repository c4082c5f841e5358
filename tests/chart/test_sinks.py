"""Typed outputs of the chart at work, also on receivers that refuse at first or die."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections import defaultdict
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventrouter.capture.record import Shaper
from eventrouter.forward import protocol
from eventrouter.forward.connection import Address, Connection
from tests.programs import FluentBit
from tests.support.events import make_event, read
from tests.support.httpserver import Exchange, HttpServer
from tests.support.values import unpack
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

SECONDS = 60.0
LOGIN = {
    "username": "router",
    "password": 'p:a-s"w%ör$d',
    "token": "e30.e30.t0k3n-_=",
    "sharedKey": "shared #1",
}
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


class Entry(NamedTuple):
    """What the watcher hands over for one event."""

    id: str
    tag: str
    nanoseconds: int
    record: dict[str, Any]


class Request(NamedTuple):
    """One request to a sink, and the status that it got."""

    status: int
    path: str
    headers: dict[str, str]
    body: bytes


class Sink(HttpServer):
    """An HTTP server that refuses the first requests. What it refuses, it has not taken."""

    def __init__(self, *refusals: int, then: int, certificate: Path | None = None) -> None:
        self._refusals = list(refusals)
        self._then = then
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        super().__init__(context=context)

    @property
    def taken(self) -> list[Request]:
        return [request for request in self.requests if request.status == self._then]

    def serve(self, exchange: Exchange) -> None:
        """Take or refuse the request, and note it."""
        body = exchange.body()
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        with self._lock:
            status = self._refusals.pop(0) if self._refusals else self._then
            self.requests.append(Request(status, exchange.path, headers, body))
        exchange.reply(status)


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


def send(sidecar, *, first: int = 0) -> list[Entry]:
    """Some events by the watcher's own protocol, each kind in a frame, all acknowledged."""
    odd: list[dict[str, Any]] = [
        {"type": "Normal", "message": "日本語 \u2028 😀 \x00 \\ \"'"},
        {"type": "Normal", "message": "x" * 40_000},
        {"type": "Warning", "lastTimestamp": "2026-03-04T05:06:07.123456Z"},
        {"type": "Warning", "lastTimestamp": "2026-03-04T05:06:07Z"},
        {"type": "Strange"},
    ]
    frames: dict[str, list[bytes]] = defaultdict(list)
    entries = []
    for number, fields in enumerate(odd, first):
        shaped = Shaper().shape(
            read(make_event({"resourceVersion": str(number)}, **fields)), "ADDED", None
        )
        time, record = unpack(shaped.entry)
        tag = f"kube.events.{shaped.tag_suffix}"
        frames[tag].append(shaped.entry)
        seconds, nanoseconds = int.from_bytes(time.data[:4]), int.from_bytes(time.data[4:])
        entries.append(Entry(record["id"], tag, seconds * 10**9 + nanoseconds, record))
    connection = Connection.open(Address.parse(sidecar.forward_url))
    try:
        for tag, packed in frames.items():
            connection.send(protocol.encode(tag, packed, chunk_id=tag))
            connection.await_ack(tag)
    finally:
        connection.close()
    return entries


def wait_for_delivery(sidecar) -> None:
    """Until no output has anything left to send."""
    eventually(lambda: not sidecar.chunk_files(), timeout=SECONDS, what="an empty buffer")


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
        "enabled": True,
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
            "enabled": True,
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
            "enabled": True,
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
