"""Load: events of many kinds, written through the real API, every answer in the ledger."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.e2e.ledger import Event, Ledger
from tests.programs import KubeClient
from tests.programs.kubeclient import Group

NAMESPACES = ("default", "team-a", "team-b")
# Texts that have broken pipelines: escapes, line ends, astral characters, what looks like JSON.
_MESSAGES = (
    "Successfully assigned default/web to node-1",
    'Back-off restarting failed container "web"\nin pod web_default(1b4e)\ttab \\ back\\slash',
    "Größe überschritten: 日本語, 😀, \u2028 and \u0001",
    '{"log": "not JSON for us", "@timestamp": "2001-01-01"}',
    "",
)
_REASONS = ("Scheduled", "BackOff", "Pulled", "FailedMount", "Ünüsual")
_TYPES = ("Normal", "Normal", "Warning")
# `app` beside `app.kubernetes.io/…`: the pair that breaks a dynamic mapping with dots.
_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"app": "web"},
    {"app.kubernetes.io/name": "web", "app": "x", "team": "a.b"},
)


@dataclass(slots=True)
class Written:
    """What a load did; known once it has ended."""

    rate: float = 0.0


@contextmanager
def in_background(work: Callable[[threading.Event], int]) -> Iterator[Written]:
    """Let a load run beside the block. It is told to stop at the block's end, which fails if the
    load has failed; it returns how many writes it made.
    """
    result = Written()
    started = time.monotonic()
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(work, stop)
        try:
            yield result
        finally:
            stop.set()
    result.rate = written.result() / (time.monotonic() - started)


class Load:
    """Writes events and updates them. Each event is changed by one thread at a time.

    The same seed gives the same choices within a thread, not the same order between threads.
    """

    def __init__(self, client: KubeClient, ledger: Ledger, *, seed: int) -> None:
        self._client = client
        self._ledger = ledger
        self._random = random.Random(seed)
        self._serial = 0
        self._lock = threading.Lock()

    def stand(self, count: int, *, updated: float = 0.2) -> None:
        """Events for a list to find; this share of them has had an update."""
        self._in_threads([lambda rng: self._one(rng, int(rng.random() < updated))] * count)

    def run(self, count: int, *, most_updates: int = 5, deleted: float = 0.02) -> None:
        """Create `count` events, each updated 0 to `most_updates` times, mixed with the others.

        A few are deleted after their last update.
        """
        each, rest = divmod(count, 4)
        shares = [each + 1] * rest + [each] * (4 - rest)
        self._in_threads(
            [
                partial(self._mixed, count=share, most_updates=most_updates, deleted=deleted)
                for share in shares
            ]
        )

    def update_standing(self, count: int) -> None:
        """One more update for so many of the events that are there."""
        states = [state for state in self._ledger.current().values() if _is_core(state.event)]
        chosen = self._random.sample(states, count)
        self._in_threads([partial(self._update, event=state.event) for state in chosen])

    def keep_going(self, stop: threading.Event, *, rate: float, message_size: int = 0) -> int:
        """Create and update at about this rate a second until told to stop; how many it made.

        Slower if the machine is: it never bursts to make up for lost time.
        """
        written = 0
        count_lock = threading.Lock()

        def write(rng: random.Random) -> None:
            nonlocal written
            pause = 4 / rate
            open_events: list[Event] = []
            due = time.monotonic()
            while not stop.is_set():
                if open_events and rng.random() < 0.5:
                    event = open_events.pop(rng.randrange(len(open_events)))
                    open_events.append(self._update(rng, event))
                else:
                    open_events.append(self._create(rng, message_size=message_size))
                del open_events[:-200]
                with count_lock:
                    written += 1
                due = max(due + pause, time.monotonic() - pause)
                stop.wait(max(0.0, due - time.monotonic()))

        self._in_threads([write] * 4)
        return written

    def create(self, event: Event, *, group: Group = "core") -> Event:
        """Create this event and take it down; the state as core/v1."""
        return self._ledger.record(self._client.create_event(event, group=group)).event

    def patch(self, event: Event, patch: Event, *, group: Group = "core") -> Event:
        """Patch this event and take it down; the state as core/v1."""
        metadata = event["metadata"]
        answer = self._client.patch_event(
            metadata["namespace"], metadata["name"], patch, group=group
        )
        return self._ledger.record(answer).event

    def _in_threads(self, jobs: list[Callable[[random.Random], Any]]) -> None:
        """Run the jobs in four threads, each with its own random generator; raise their errors."""
        seeds = [self._random.random() for _ in jobs]
        with ThreadPoolExecutor(4) as pool:
            for future in [
                pool.submit(job, random.Random(seed)) for job, seed in zip(jobs, seeds, strict=True)
            ]:
                future.result()

    def _one(self, rng: random.Random, updates: int) -> None:
        event = self._create(rng)
        for _ in range(updates):
            event = self._update(rng, event)

    def _mixed(self, rng: random.Random, *, count: int, most_updates: int, deleted: float) -> None:
        """Some thirty events open at a time, the next step for one of them at random."""
        open_events: list[tuple[Event, int]] = []
        while count or open_events:
            if count and (len(open_events) < 30 or rng.random() < 0.2):
                open_events.append((self._create(rng), rng.randint(0, most_updates)))
                count -= 1
            event, updates = open_events.pop(rng.randrange(len(open_events)))
            if updates:
                open_events.append((self._update(rng, event), updates - 1))
            elif rng.random() < deleted:
                self.delete(event)

    def _create(self, rng: random.Random, *, message_size: int = 0) -> Event:
        with self._lock:
            self._serial += 1
            name = f"e{self._serial}"
        message = rng.choice(_MESSAGES) + "x" * message_size
        if rng.random() < 0.5:
            return self.create(core_event(rng, name, message))
        return self.create(new_event(rng, name, message), group="events")

    def _update(self, rng: random.Random, event: Event) -> Event:
        """What a recorder of that kind does for a repeat; now and then, what a user does."""
        if not _is_core(event):
            count = (event.get("series") or {"count": 1})["count"] + 1
            series = {"count": count, "lastObservedTime": _micro(rng)}
            return self.patch(event, {"series": series}, group="events")
        patch: Event = {"count": event["count"] + 1, "lastTimestamp": _seconds()}
        if rng.random() < 0.2:
            patch["message"] = f"(combined from similar events): {rng.random()}"
        if rng.random() < 0.1:
            patch["metadata"] = {"annotations": {"example.com/seen.by": str(rng.random())}}
        if rng.random() < 0.1:
            whole = {**event, **patch, "metadata": event["metadata"], "type": "Warning"}
            return self._ledger.record(self._client.update_event(whole)).event
        return self.patch(event, patch)

    def delete(self, event: Event) -> None:
        """Delete this event and take that down."""
        metadata = event["metadata"]
        self._client.delete_event(metadata["namespace"], metadata["name"])
        self._ledger.record_deletion(metadata["uid"], not_before=int(metadata["resourceVersion"]))


def core_event(rng: random.Random, name: str, message: str) -> Event:
    """As client-go's older recorder makes it: the kubelet and most controllers."""
    namespace = rng.choice(NAMESPACES)
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": rng.choice(_LABELS)},
        "involvedObject": {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": namespace,
            "name": f"pod-{rng.randrange(100)}",
            "uid": f"{rng.getrandbits(128):032x}",
            "fieldPath": "spec.containers{web}",
        },
        "reason": rng.choice(_REASONS),
        "message": message,
        "type": rng.choice(_TYPES),
        "source": {"component": "kubelet", "host": f"node-{rng.randrange(9)}"},
        "firstTimestamp": _seconds(),
        "lastTimestamp": _seconds(),
        "count": 1,
    }


def new_event(rng: random.Random, name: str, message: str) -> Event:
    """As client-go's newer recorder makes it through events.k8s.io: the scheduler."""
    namespace = rng.choice(NAMESPACES)
    event: Event = {
        "metadata": {"name": name, "namespace": namespace, "labels": rng.choice(_LABELS)},
        "regarding": {"kind": "Pod", "namespace": namespace, "name": f"pod-{rng.randrange(100)}"},
        "reason": rng.choice(_REASONS),
        # This group's own limit; core/v1 has none.
        "note": message.encode()[:1000].decode(errors="ignore"),
        "type": rng.choice(_TYPES),
        "action": "Binding",
        "eventTime": _micro(rng),
        "reportingController": "example.com/scheduler",
        "reportingInstance": f"scheduler-{rng.randrange(3)}",
    }
    if rng.random() < 0.3:
        event["related"] = {"kind": "Node", "name": "node-1"}
    return event


def _is_core(event: Event) -> bool:
    """Whether it was made by `core_event`: the other kind may not be changed freely."""
    return event["eventTime"] is None


def _seconds() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro(rng: random.Random) -> str:
    """Now, with digits that show any rounding."""
    now = datetime.now(UTC).replace(microsecond=rng.randrange(1_000_000))
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
