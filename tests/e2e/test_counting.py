"""Counters of events against a ledger, on a real API server."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eventrouter.standins.receiver.receiver import Receiver
from tests.programs import ApiServer, KubeClient, Watcher
from tests.support.events import event_to_write, state_id
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
NAMESPACES = ("team-a", "team-b")
_WRITERS = 8


class Ledger:
    """Writes states of new and known events, and remembers how often what happened."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._events: list[list[Json]] = [[] for _ in range(_WRITERS)]
        self.ids: set[str] = set()
        self.occurrences = 0

    def write(self, states: int, *, seed: int) -> None:
        """So many states, by several writers at once."""
        with ThreadPoolExecutor(_WRITERS) as pool:
            chances = [random.Random(f"{seed} {number}") for number in range(_WRITERS)]
            shares = [states // _WRITERS] * _WRITERS
            for ids, occurred in pool.map(self._write, self._events, chances, shares):
                self.ids |= ids
                self.occurrences += occurred

    def _write(self, known: list[Json], chance: random.Random, states: int) -> tuple[set[str], int]:
        ids: set[str] = set()
        occurred = 0
        for _ in range(states):
            if known and chance.random() < 0.7:
                place = chance.randrange(len(known))
                more = chance.choice((0, 1, 1, 5))
                event = known[place] | {"message": f"again {chance.random()}"}
                event["count"] += more
                known[place] = written = self._client.update_event(event)
            else:
                more = 1
                name = f"counted.{chance.getrandbits(60):x}"
                event = event_to_write(name, namespace=chance.choice(NAMESPACES), count=1)
                event["reason"] = chance.choice(("Pulled", "BackOff", "FailedScheduling"))
                written = self._client.create_event(event)
                known.append(written)
            occurred += more
            ids.add(state_id(written))
        return ids, occurred


def counted(watcher: Watcher) -> int:
    """Each series is 0 when it is first shown."""
    watcher.metrics()
    return int(watcher.metrics().total("eventrouter_kubernetes_events_total"))


def test_5000_states_count_as_often_as_they_happened_through_a_restart_and_a_takeover(
    apiserver: ApiServer, tmp_path: Path
) -> None:
    """What is counted is read before each stop, as by a scrape: later ones are not seen."""
    ledger = Ledger(apiserver.client)
    seen: list[int] = []
    with Receiver() as receiver:

        def pair(name: str) -> Watcher:
            return Watcher(
                tmp_path / name,
                kubeconfig=apiserver.kubeconfig,
                forward=receiver.url,
                checkpoint="lease:team-a/eventrouter",
                options=["--count-events", "true"],
            )

        def happened() -> int:
            """With what the API server itself writes about its Service, once a state."""
            return ledger.occurrences + len(receiver.records.keys() - ledger.ids)

        def read(watcher: Watcher) -> None:
            receiver.wait_for(lambda: ledger.ids <= receiver.records.keys(), timeout=60)
            eventually(lambda: watcher.metrics().total("eventrouter_events_in_flight") == 0)
            seen.append(counted(watcher))

        with pair("first") as first:
            ledger.write(2000, seed=1)
            read(first)
            assert seen == [happened()]
            assert first.stop() == 0
            ledger.write(1000, seed=2)
            first.start()
            ledger.write(400, seed=3)
            read(first)
            assert sum(seen) == happened()
            with pair("second") as second:
                assert first.stop() == 0
                ledger.write(1600, seed=4)
                read(second)
                assert second.metrics().total("eventrouter_leading") == 1
    assert len(ledger.ids) == 5000
    assert sum(seen) == happened(), seen
