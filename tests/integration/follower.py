"""The capturing half of the watcher alone: a reflector and what came out of its queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

from eventrouter.capture.following import build_reflector
from eventrouter.clock import SystemClock
from eventrouter.forward.batch import Batch, Positions
from eventrouter.forward.queue import Queue
from eventrouter.kube.api import KubeApi
from eventrouter.kube.credentials import Credentials
from eventrouter.kube.events import KubeEvents
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics
from eventrouter.standins.apiserver.server import ApiServer
from tests.support.clock import FastStop, middle
from tests.support.waiting import DEADLINE, eventually

Json = dict[str, Any]

CACHE_BYTES = 16 * 2**20


class Follower:
    """A reflector, from the API server to the far end of the queue.

    `records` is what came out, decoded, in order within each kind; `position` is what a checkpoint
    taken now would hold; `lists_begun` and `histories` are what it would be told beside positions.
    """

    def __init__(
        self,
        server: ApiServer,
        kubeconfig: Path,
        *,
        namespace: str = "",
        field_selector: str | None = None,
        resume_at: str | None = None,
        cache_bytes: int = CACHE_BYTES,
        queue: Queue | None = None,
        list_at: str | None = None,
    ) -> None:
        self.records: list[Json] = []
        self.kinds: list[str] = []
        self.positions: Positions = {}
        self.all_positions: list[str] = []
        self.lists_begun: list[str] = []
        self.histories: list[int] = []
        self.metrics = Metrics()
        self.queue = queue or Queue(linger_seconds=lambda: 0.0)
        self.stop = FastStop()
        self.failure: BaseException | None = None
        self.health = Health(SystemClock())
        self._namespace = namespace
        self._resume_at = resume_at
        self._list_at = list_at
        self._taking = threading.Event()
        self._taking.set()
        self._turn = threading.Lock()
        if not kubeconfig.exists():
            server.write_kubeconfig(kubeconfig)
        self._events = KubeEvents(
            api=KubeApi(credentials=Credentials.of(str(kubeconfig), clock=SystemClock())),
            field_selector=field_selector,
            metrics=self.metrics,
        )
        self.reflector = build_reflector(
            namespace=namespace,
            source=self._events,
            queue=self.queue,
            progress=self,
            cluster=None,
            old_event_cache_bytes=cache_bytes,
            metrics=self.metrics,
            health=self.health,
            stop=self.stop,
            clock=SystemClock(),
            uniform=middle,
        )
        self._threads = [
            threading.Thread(target=self._follow, daemon=True),
            threading.Thread(target=self._take, daemon=True),
        ]

    @property
    def position(self) -> str | None:
        reached = self.positions.get(self._namespace)
        return reached and reached.resource_version

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]

    def start(self) -> Follower:
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        """End it, as a crash would: nothing is drained."""
        self.stop.set()
        self._events.close()
        self.queue.close()
        self._taking.set()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Follower:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_list(
        self, namespace: str, resource_version: str, *, beat: Callable[[], None]
    ) -> None:
        self.lists_begun.append(resource_version)

    def history_went_back(self, namespace: str, history: int, *, beat: Callable[[], None]) -> None:
        self.histories.append(history)

    def hold(self) -> None:
        """Take nothing from the queue any more. What is being taken now is kept first."""
        self._taking.clear()
        with self._turn:
            pass

    def release(self) -> None:
        self._taking.set()

    def wait_for(self, condition: Callable[[], object], *, timeout: float = DEADLINE) -> None:
        eventually(
            lambda: self.failure or condition(),
            timeout=timeout,
            what=f"with {len(self.records)} records, at {self.position}",
        )
        assert self.failure is None, repr(self.failure)

    def wait_for_ids(self, ids: set[str], *, timeout: float = DEADLINE) -> None:
        self.wait_for(lambda: ids <= set(self.ids), timeout=timeout)

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more records have come."""
        wanted = len(self.records) + count
        self.wait_for(lambda: len(self.records) >= wanted)

    def wait_for_position(self, revision: int, *, timeout: float = DEADLINE) -> None:
        self.wait_for(lambda: int(self.position or 0) >= revision, timeout=timeout)

    def count(self, name: str, **labels: str) -> int:
        """The value of a counter of the watcher."""
        value = self.metrics.registry.get_sample_value(f"eventrouter_{name}_total", labels)
        return int(value or 0)

    def _follow(self) -> None:
        try:
            self.reflector.run(self._resume_at, list_at=self._list_at)
        except BaseException as error:  # noqa: BLE001
            self.failure = error

    def _take(self) -> None:
        while not self.stop.is_set():
            self._taking.wait()
            with self._turn:
                if not self._taking.is_set():
                    continue
                batch = self.queue.take(patience_seconds=0.05)
                if batch is not None and not self.stop.is_set():
                    self._keep(batch)

    def _keep(self, batch: Batch) -> None:
        for kind, entries in batch.entries.items():
            self.kinds += [kind] * len(entries)
            self.records += [msgpack.unpackb(entry)[1] for entry in entries]
        self.positions |= batch.positions
        self.all_positions += [reached.resource_version for reached in batch.positions.values()]
