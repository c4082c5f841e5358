"""HTTP sinks that fail in one way each, and note when each event reached them."""

from __future__ import annotations

import gzip
import json
import threading
import time
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, Self

from tests.support.httpserver import Exchange, HttpServer
from tests.support.ports import free_port

_SLOW_SECONDS = 3.0


class Mood(Enum):
    """What a sink does with a request."""

    WELL = "well"
    REFUSING = "refusing"  # nothing listens on its port
    HUNG = "hung"  # takes the request, never answers
    SLOW = "slow"  # answers after some seconds
    UNAUTHORIZED = "unauthorized"  # 401, as with a wrong password
    BROKEN = "broken"  # 500


_STATUS = {Mood.UNAUTHORIZED: 401, Mood.BROKEN: 500}


class Sink:
    """A sink on loopback; with `bulk` it answers as Elasticsearch's bulk API does. Thread-safe.

    An event counts as arrived when the sink answers that it has it. Whoever changes the mood to
    another one ends what hangs until then.
    """

    def __init__(self, name: str, mood: Mood = Mood.WELL, *, bulk: bool = False) -> None:
        self.name = name
        self.bulk = bulk
        self.port = free_port()
        self.arrived: dict[str, float] = {}  # by id: when, by the monotonic clock
        self._first_mood = mood
        self._mood = Mood.REFUSING
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._server: _Server | None = None

    @property
    def is_sick(self) -> bool:
        """Whether it takes nothing, or takes it late."""
        return self._mood is not Mood.WELL

    def become(self, mood: Mood) -> None:
        """Change the mood."""
        self._mood = mood
        self._changed.set()
        self._changed = threading.Event()
        if mood is Mood.REFUSING and self._server is not None:
            self._server.__exit__()
            self._server = None
        elif mood is not Mood.REFUSING and self._server is None:
            self._server = _Server(self).__enter__()

    def serve(self, exchange: Exchange) -> None:
        """Answer one request, as the mood is."""
        mood, changed = self._mood, self._changed
        body = exchange.body()
        if mood is Mood.HUNG:
            changed.wait()
        if mood in (Mood.HUNG, Mood.REFUSING):  # a connection of better times
            exchange.close_connection = True
            return
        if mood is Mood.SLOW:
            changed.wait(_SLOW_SECONDS)
        if exchange.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status = _STATUS.get(mood, 200)
        if status != 200:
            answer = json.dumps({"error": f"status {status}", "status": status}).encode()
        else:
            answer = self._take_bulk(body) if self.bulk else self._take_lines(body)
        exchange.reply(status, answer, content_type="application/json")

    def _take_lines(self, body: bytes) -> bytes:
        for line in body.splitlines():
            self._take(json.loads(line)["id"])
        return b""

    def _take_bulk(self, body: bytes) -> bytes:
        lines = body.splitlines()
        items: list[dict[str, Any]] = []
        for action, record in zip(lines[::2], lines[1::2], strict=True):
            target = json.loads(action)["create"]
            assert json.loads(record)["id"] == target["_id"]
            answer = {"_index": target["_index"], "_id": target["_id"], "status": 201}
            if not self._take(target["_id"]):
                answer |= {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
            items.append({"create": answer})
        has_errors = any("error" in item["create"] for item in items)
        return json.dumps({"errors": has_errors, "took": 0, "items": items}).encode()

    def _take(self, id_: str) -> bool:
        """Note an event. Whether it is new."""
        with self._lock:
            is_new = id_ not in self.arrived
            self.arrived.setdefault(id_, time.monotonic())
        return is_new

    def __enter__(self) -> Self:
        self.become(self._first_mood)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.become(Mood.REFUSING)


class _Server(HttpServer):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        super().__init__(port=sink.port)

    def serve(self, exchange: Exchange) -> None:
        with suppress(ConnectionError):  # Fluent Bit was killed, or has waited long enough
            self._sink.serve(exchange)
