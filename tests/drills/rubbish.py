"""Rubbish on both links: an API server's watch and a sidecar's acks, damaged on their way."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgpack
import urllib3

from tests.drills.plan import Plan
from tests.drills.relay import Relay
from tests.programs import ApiServer
from tests.support.httpserver import Exchange, HttpServer

# Every code that a Status can have, and some that it can't.
CODES = (400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415, 422, 423, 429, 500, 501, 503, 504)
ODD_CODES: tuple[object, ...] = (0, 200, -1, 10**30, None, "410", [], 4.5)
# No line of these is an event, and most are no JSON.
JUNK = (
    b"\xff\xfe\x00rubbish",
    b'{"type":"ADDED","object":"\xc3\x28"}',
    b'{"type":"ADDED","object":',
    b'{"type":"ADDED"}',
    b'{"type":"MODIFIED","object":null}',
    b'{"type":7,"object":{}}',
    b"[" * 100_000,
    b"null",
    b"\r",
    b'"\\ud800"',
    b"<html><body>502 Bad Gateway</body></html>",
)
STATUSES = (400, 401, 403, 404, 408, 429, 500, 502, 503)
NO_ACKS = (
    b"\xc1",  # no msgpack ever begins so
    b"\xdd\xff\xff\xff\xff",  # an array of as many items
    b"\x91" * 3000,
    b"\xc0",
    b"\x80",
    msgpack.packb({"ack": None}),
    msgpack.packb({"ack": 7}),
    b"\x81\xa3ack\xa2\xff\xfe",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
)
# A text of 4 GiB, of which not a byte comes: waited for as long as for an ack.
NEVER_ENDING = b"\xdb\xff\xff\xff\xff"


class RubbishApi(HttpServer):
    """Between the watcher and the API server, with the server's own certificate.

    Whatever it does to a stream, it never takes an event away for good: what is cut off or damaged
    once comes whole the next time. Nor does it lie about what came by: its bookmarks are of
    positions that the stream has reached. No client could tell a lie of that kind.
    """

    def __init__(self, apiserver: ApiServer, *, seed: int, times: int = 1) -> None:
        faults: list[tuple[str, Any]] = [
            *(("ERROR", code) for code in (*CODES, *ODD_CODES)),
            *(("junk", line) for line in JUNK),
            *(("junk twice", line) for line in JUNK[:4]),
            *(("status", status) for status in STATUSES),
            *(("bookmark", kind) for kind in ("here", "none", "null", "text", "0x10", "empty") * 2),
            *(("cut", None),) * 5,
            *(("halved", None),) * 5,
            *(("end", None),) * 2,
        ]
        self.plan = Plan(faults * times, seed=seed)
        self._apiserver = apiserver.url
        self._lock = threading.Lock()
        # Both by the watch's path and its position.
        self._halved: set[tuple[str, str]] = set()  # what comes next there must come whole
        self._junk_due: dict[tuple[str, str], bytes] = {}
        self._statuses_due: deque[int] = deque()  # for the next requests
        self._http = urllib3.PoolManager(
            ca_certs=str(apiserver.ca_file), retries=False, timeout=120.0, maxsize=8
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        keys = apiserver.ca_file.parent
        context.load_cert_chain(keys / "server.crt", keys / "server.key")
        super().__init__(context=context)

    def damaged(self, lines: Iterator[bytes], *, path: str, position: str) -> Iterator[bytes]:
        """The bytes of a watch from this position on. Raises ConnectionError to cut it off."""
        has_moved = False

        def cannot(fault: str, detail: Any) -> bool:
            # A watch that brings nothing is waited for longer each time, and after three that are
            # too old or empty the position is given up: so each brings something.
            return not has_moved or ((path, position) in self._halved and fault != "bookmark")

        if junk := self._junk_due.pop((path, position), None):
            yield junk + b"\n"
        for line in lines:
            fault, detail = self.plan.next(chance=0.3, unless=cannot)
            if fault == "ERROR":
                yield error_line(detail)
                return
            if fault == "bookmark":
                yield bookmark_line(detail, position)
            elif fault.startswith("junk"):
                if fault == "junk twice":
                    self._junk_due[path, position] = detail
                yield detail + b"\n"
            elif fault == "cut":
                yield line[: self.plan.random.randrange(len(line))]
                raise ConnectionError("cut")
            elif fault == "halved":
                self._halved.add((path, position))
                yield line[: self.plan.random.randrange(1, len(line) - 1)] + b"\n"
                return
            elif fault == "status":
                self._statuses_due.append(detail)
                return
            elif fault == "end":
                return
            yield line + b"\n"
            has_moved = True
            position = json.loads(line)["object"]["metadata"]["resourceVersion"]

    def serve(self, exchange: Exchange) -> None:
        """One request, to its end."""
        try:
            self._answer(exchange)
        except (OSError, urllib3.exceptions.HTTPError):
            exchange.close_connection = True
            with suppress(OSError):
                exchange.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, exchange: Exchange) -> None:
        query = parse_qs(urlsplit(exchange.path).query)
        with self._lock:
            status = self._statuses_due.popleft() if self._statuses_due else None
        if status is not None:
            exchange.reply(status, b"\xff{rubbish")
            return
        headers = {"Authorization": exchange.headers["Authorization"], "Accept": "application/json"}
        response = self._http.request(
            "GET", f"{self._apiserver}{exchange.path}", headers=headers, preload_content=False
        )
        try:
            if response.status != 200 or "watch" not in query:
                body = response.read()
                exchange.reply(response.status, body, content_type="application/json")
                return
            exchange.send_response(200)
            exchange.send_header("Transfer-Encoding", "chunked")
            exchange.end_headers()
            path, position = urlsplit(exchange.path).path, query["resourceVersion"][0]
            for data in self.damaged(lines_of(response), path=path, position=position):
                for piece in self._cut_up(data):
                    exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            exchange.wfile.write(b"0\r\n\r\n")
        finally:
            response.close()

    def _cut_up(self, data: bytes) -> Iterator[bytes]:
        """The same bytes in pieces that end anywhere."""
        with self._lock:
            cuts = sorted(self.plan.random.randrange(len(data) + 1) for _ in range(3))
        edges = [0, *cuts, len(data)]
        return (data[a:b] for a, b in pairwise(edges) if a < b)


class RubbishAcks(Relay):
    """Between the watcher and its sidecar: frames pass as they are, acks are spoilt in many ways.

    It never acknowledges what the sidecar has not.
    """

    def __init__(self, target: int, *, seed: int, times: int = 1) -> None:
        super().__init__(target)
        faults: list[tuple[str, Any]] = [
            *(("split", None),) * 30,
            *(("late", seconds) for seconds in (0.3, 1.0, 3.0)),
            *(("doubled", None),) * 8,
            *(("wrong", None),) * 8,
            *(("lost", None),) * 8,
            *(("no ack", data) for data in NO_ACKS),
        ]
        self.plan = Plan([*faults * times, ("no ack", NEVER_ENDING)], seed=seed)

    def answering(self, client: socket.socket) -> Callable[[bytes], None]:
        unpacker = msgpack.Unpacker()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def take(data: bytes) -> None:
            unpacker.feed(data)
            for answer in unpacker:
                self._spoil(msgpack.packb(answer), client)

        return take

    def _spoil(self, ack: bytes, client: socket.socket) -> None:
        fault, detail = self.plan.next(chance=0.5, unless=lambda *_: False)
        if fault == "lost":
            raise ConnectionError("lost")
        if fault == "late":
            time.sleep(detail)
        elif fault == "wrong":
            ack = msgpack.packb({"ack": f"{self.plan.random.getrandbits(128):x}"})
        elif fault == "doubled":
            ack += ack
        elif fault == "no ack":
            ack = detail
        if fault != "split":
            client.sendall(ack)
            return
        for byte in ack:
            client.sendall(bytes((byte,)))
            time.sleep(0.001)


def lines_of(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of a watch, without their ends."""
    rest = b""
    for piece in response.stream(amt=None, decode_content=False):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def error_line(code: object) -> bytes:
    """An ERROR as a watch brings it."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def bookmark_line(kind: str, position: str) -> bytes:
    """A BOOKMARK of the position itself, or without one that could be one."""
    metadata: dict[str, Any] = {"resourceVersion": position, "creationTimestamp": None}
    if kind == "none":
        del metadata["resourceVersion"]
    elif kind != "here":
        metadata["resourceVersion"] = {"null": None, "text": "rubbish", "empty": ""}.get(kind, kind)
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Event", "metadata": metadata}}
    return json.dumps(bookmark).encode() + b"\n"
