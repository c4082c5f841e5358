"""A cluster that remembers every state of its events, so that records can be held against them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from eventrouter.standins.apiserver.store import EventStore
from tests.support.events import event_to_write

Json = dict[str, Any]


class State(NamedTuple):
    """One state of one event, as it should arrive."""

    id: str
    revision: int
    verb: str
    event: Json
    old_event: Json | None


class Cluster:
    """An event store and the memory of all that was ever written to it."""

    def __init__(self, *, revision: int = 1000) -> None:
        self.store = EventStore(revision=revision)
        self.states: list[State] = []
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], Json] = {}
        self._numbers = iter(range(10**9))

    def create(self, namespace: str = "default", name: str | None = None, **fields: Any) -> str:
        """A new event; its name."""
        with self._lock:
            name = name or f"event-{next(self._numbers):06}"
            standard = {"type": "Normal", "reason": "Started", "message": f"Started {name}"}
            event = event_to_write(name, namespace=namespace, **{**standard, **fields})
            stored = self.store.create(event)
            return self._note("ADDED", namespace, name, stored)

    def update(self, name: str, namespace: str = "default", **fields: Any) -> str:
        """Another state of an event; by default one more of the same."""
        with self._lock:
            count = self._last[namespace, name].get("count") or 1
            stored = self.store.update(namespace, name, fields or {"count": count + 1})
            return self._note("UPDATED", namespace, name, stored)

    def delete(self, name: str, namespace: str = "default") -> None:
        """What the API server does to each after an hour."""
        with self._lock:
            self.store.delete(namespace, name)
            del self._last[namespace, name]

    def fill(self, count: int, **fields: Any) -> list[str]:
        """That many new events; their names."""
        return [self.create(**fields) for _ in range(count)]

    def _note(self, verb: str, namespace: str, name: str, stored: Json) -> str:
        event = orjson.loads(orjson.dumps(stored))
        metadata = event["metadata"]
        metadata.pop("managedFields", None)
        revision = metadata["resourceVersion"]
        old = self._last.get((namespace, name)) if verb == "UPDATED" else None
        self.states.append(State(f"{metadata['uid']}-{revision}", int(revision), verb, event, old))
        self._last[namespace, name] = event
        return name

    @property
    def revision(self) -> int:
        return self.store.revision

    def ids(self, *, after: int = 0) -> set[str]:
        """The ids of all states later than a revision."""
        return {state.id for state in self.states if state.revision > after}

    def shown(self, at: int | None = None) -> set[str]:
        """The ids of the states that a list shows now, or showed at a revision; no deletions."""
        newest = {
            state.event["metadata"]["uid"]: state.id
            for state in self.states
            if at is None or state.revision <= at
        }
        return set(newest.values())


def check(
    records: Iterable[Json], cluster: Cluster, *, listed: Iterable[str] = (), gap: int = 0
) -> None:
    """Each record is a state of the cluster and has the right verb and old state.

    `listed` are ids that a first list showed: ADDED, without an old state. States up to `gap`
    may come without their old state: it lay where nobody watched.
    """
    states = {state.id: state for state in cluster.states}
    shown = set(listed)
    for record in records:
        state = states[record["id"]]
        assert record["event"] == state.event
        if state.id in shown:
            assert (record["verb"], record.get("old_event")) == ("ADDED", None)
        else:
            assert record["verb"] == state.verb, record["id"]
            if state.revision > gap or "old_event" in record:
                assert record.get("old_event") == state.old_event, record["id"]


@contextmanager
def traffic(cluster: Cluster, *, seed: int, rate: float = 400.0) -> Iterator[None]:
    """Events of both types come and change, about so many a second, until the block ends."""
    stop = threading.Event()
    chance = random.Random(seed)

    def write() -> None:
        names: list[str] = []
        while not stop.wait(1 / rate):
            if names and chance.random() < 0.5:
                cluster.update(chance.choice(names))
            else:
                names.append(cluster.create(type=chance.choice(["Normal", "Warning"])))

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
