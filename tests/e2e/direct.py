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
from contextlib import AbstractContextManager

from tests.e2e.ledger import Event, Ledger
from tests.e2e.load import Written, core_event, in_background
from tests.programs import Etcd, KubeClient

_ROUND_SECONDS = 0.1


def stored(rng: random.Random, name: str, message: str) -> tuple[str, bytes]:
    """Key and value of one event, as the API server may have stored it."""
    event: Event = core_event(rng, name, message)
    metadata = event["metadata"]
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": event["firstTimestamp"]}
    key = f"/registry/events/{metadata['namespace']}/{metadata['name']}"
    return key, json.dumps({"kind": "Event", "apiVersion": "v1", **event}).encode()


def writing(
    etcd: Etcd, rng: random.Random, *, rate: float, message_size: int = 0
) -> AbstractContextManager[Written]:
    """New events at this rate while the block runs; slower if the machine is."""

    def write(stop: threading.Event) -> int:
        written = 0
        began = time.monotonic()
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - written
            names = [f"direct-{number}" for number in range(written, written + due)]
            etcd.put_all([stored(rng, name, "x" * message_size) for name in names])
            written += due
            stop.wait(_ROUND_SECONDS)
        return written

    return in_background(write)


def take_down(client: KubeClient, ledger: Ledger) -> int:
    """Take into the ledger what the API server shows and nobody has taken down; how many.

    Under a load as well: what the load creates it takes down itself, at the latest meanwhile.
    """
    shown = list(client.events())
    known = {state.uid for state in ledger.states}
    found = [event for event in shown if event["metadata"]["uid"] not in known]
    for event in found:
        ledger.record(event)
    return len(found)
