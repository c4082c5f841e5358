"""Events written past the API server, into its etcd: more a second than it could accept.

A write through the API costs some 4 ms of CPU in client, API server and etcd. The API server
serves what it finds in etcd, and reads JSON there as well as its own format.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.ledger import Event, Ledger
from tests.e2e.load import core_event
from tests.e2e.parts import Etcd, KubeClient

_ROUND_SECONDS = 0.1


@dataclass(slots=True)
class Writing:
    """What was done; known once it has ended."""

    rate: float = 0.0


def stored(rng: random.Random, name: str, message: str) -> tuple[str, bytes]:
    """Key and value of one event, as the API server may have stored it."""
    event: Event = core_event(rng, name, message)
    metadata = event["metadata"]
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": event["firstTimestamp"]}
    key = f"/registry/events/{metadata['namespace']}/{metadata['name']}"
    return key, json.dumps({"kind": "Event", "apiVersion": "v1", **event}).encode()


@contextmanager
def writing(
    etcd: Etcd, rng: random.Random, *, rate: float, message_size: int = 0
) -> Iterator[Writing]:
    """New events at this rate while the block runs; slower if the machine is."""
    result = Writing()
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        began = time.monotonic()
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - written
            names = [f"direct-{number}" for number in range(written, written + due)]
            etcd.put_all([stored(rng, name, "x" * message_size) for name in names])
            written += due
            stop.wait(_ROUND_SECONDS)
        result.rate = written / (time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        done: Future[None] = pool.submit(write)
        try:
            yield result
        finally:
            stop.set()
    done.result()


def take_down(client: KubeClient, ledger: Ledger) -> int:
    """Take into the ledger what the API server shows and nobody has taken down; how many."""
    known = {state.uid for state in ledger.states}
    found = [event for event in client.events() if event["metadata"]["uid"] not in known]
    for event in found:
        ledger.record(event)
    return len(found)
