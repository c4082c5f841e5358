"""Stand-ins for what outputs write to, and events by the watcher's own protocol."""

from __future__ import annotations

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from eventrouter.capture.record import Shaper
from eventrouter.forward import protocol
from eventrouter.forward.connection import Address, Connection
from tests.programs import FluentBit
from tests.support.events import make_event, read
from tests.support.httpserver import Exchange, HttpServer
from tests.support.values import unpack
from tests.support.waiting import eventually

SECONDS = 60.0
LOGIN = {
    "username": "router",
    "password": 'p:a-s"w%ör$d',
    "token": "e30.e30.t0k3n-_=",
    "sharedKey": "shared #1",
}
ODD: list[dict[str, Any]] = [
    {"type": "Normal", "message": "日本語 \u2028 😀 \x00 \\ \"'"},
    {"type": "Normal", "message": "x" * 40_000},
    {"type": "Warning", "lastTimestamp": "2026-03-04T05:06:07.123456Z"},
    {"type": "Warning", "lastTimestamp": "2026-03-04T05:06:07Z"},
    {"type": "Strange"},
]


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

    def __init__(
        self, *refusals: int, then: int, certificate: Path | None = None, answer: bytes = b""
    ) -> None:
        self._refusals = list(refusals)
        self._answer = answer
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
        exchange.reply(status, self._answer)


def send(
    sidecar: FluentBit,
    events: Iterable[dict[str, Any]] = ODD,
    *,
    first: int = 0,
    metadata: dict[str, Any] | None = None,
) -> list[Entry]:
    """Events by the watcher's own protocol, each kind in a frame, all acknowledged.

    `metadata` is put on each.
    """
    frames: dict[str, list[bytes]] = defaultdict(list)
    entries = []
    for number, fields in enumerate(events, first):
        shaped = Shaper().shape(
            read(make_event({"resourceVersion": str(number), **(metadata or {})}, **fields)),
            "ADDED",
            None,
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


def wait_for_delivery(sidecar: FluentBit) -> None:
    """Until no output has anything left to send."""
    # Those of the queue for optional outputs, too. What is passed on is there before it goes here.
    chunks = "forward.[01]/*.flb"
    eventually(
        lambda: not any(sidecar.buffer_path.glob(chunks)), timeout=SECONDS, what="an empty buffer"
    )
