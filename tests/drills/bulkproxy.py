"""An HTTP proxy before Elasticsearch that has it answer as an overloaded one does."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections.abc import Sequence
from enum import Enum
from typing import Any

import urllib3

from tests.support.httpserver import Exchange, HttpServer

Json = dict[str, Any]


class Mood(Enum):
    """What the proxy does with a request."""

    WELL = "well"
    BUSY = "busy"  # some items of each bulk are refused with 429 or 503, some bulks as a whole
    SLOW = "slow"  # seconds pass before it does anything
    HUNG = "hung"  # no answer ever; every other request has been carried out all the same


class BulkProxy(HttpServer):
    """Hands requests on to Elasticsearch, as its mood is. Thread-safe.

    Faithful: what it answers with 429 or 503 has not been written, and what it says was written
    has been. Only a hung one keeps to itself what it did, as a server does that dies after the
    work.
    """

    def __init__(self, elasticsearch: str, *, seed: int) -> None:
        self.mood = Mood.WELL
        self.refused = 0
        self.hung = 0
        self._elasticsearch = elasticsearch
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._http = urllib3.PoolManager(maxsize=16, retries=False, timeout=60.0)
        self._closing = threading.Event()
        super().__init__()

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        super().__exit__()

    def serve(self, exchange: Exchange) -> None:
        """One bulk request, as the mood is."""
        body = exchange.body()
        if exchange.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            status, answer = self.answer(exchange.path, body)
        except urllib3.exceptions.HTTPError:
            exchange.close_connection = True
            return
        exchange.reply(status, answer, content_type="application/json")

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body for a bulk request of this plain body."""
        mood = self.mood
        if mood is Mood.SLOW:
            self._closing.wait(self._uniform(2, 5))
        if mood is Mood.HUNG:
            with self._lock:
                self.hung += 1
                is_carried_out = self.hung % 2 == 1
            if is_carried_out:
                self._pass_on(path, body)
            self._closing.wait()
        if mood is Mood.BUSY:
            return self._answer_busily(path, body)
        return self._pass_on(path, body)

    def _answer_busily(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self._uniform(0, 1) < 0.2:
            status = 429 if self._uniform(0, 1) < 0.5 else 503
            return status, json.dumps({"error": _error(status), "status": status}).encode()
        lines = body.rstrip(b"\n").split(b"\n")
        items = list(zip(lines[::2], lines[1::2], strict=True))
        refused = {
            number: 429 if self._uniform(0, 1) < 0.5 else 503
            for number in range(len(items))
            if self._uniform(0, 1) < 0.3
        }
        with self._lock:
            self.refused += len(refused)
        taken = [item for number, item in enumerate(items) if number not in refused]
        answers = iter(self._write(path, taken))
        merged = [
            _refusal(items[number][0], refused[number]) if number in refused else next(answers)
            for number in range(len(items))
        ]
        has_errors = any("error" in next(iter(answer.values())) for answer in merged)
        return 200, json.dumps({"took": 1, "errors": has_errors, "items": merged}).encode()

    def _write(self, path: str, items: Sequence[tuple[bytes, bytes]]) -> list[Json]:
        if not items:
            return []
        body = b"".join(line + b"\n" for item in items for line in item)
        status, answer = self._pass_on(path, body)
        if status != 200:
            raise RuntimeError(f"Elasticsearch answered {status}: {answer[:500]!r}")
        written: list[Json] = json.loads(answer)["items"]
        return written

    def _pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        answer = self._http.request(
            "POST",
            f"{self._elasticsearch}{path}",
            body=body,
            headers={"Content-Type": "application/x-ndjson"},
        )
        return answer.status, answer.data

    def _uniform(self, low: float, high: float) -> float:
        with self._lock:
            return self._random.uniform(low, high)


def _refusal(action: bytes, status: int) -> Json:
    ((operation, target),) = json.loads(action).items()
    named = {"_index": target["_index"], "_id": target["_id"]}
    return {operation: {**named, "status": status, "error": _error(status)}}


def _error(status: int) -> Json:
    if status == 429:
        kind = "es_rejected_execution_exception"
        return {"type": kind, "reason": "rejected execution of coordinating operation"}
    return {"type": "unavailable_shards_exception", "reason": "primary shard is not active"}
