"""What the behaviour tests stand on: a cluster that remembers all its states, and the watcher.

`Follower` is the capturing half alone, `Watcher` the whole in this process, `Process` the whole as
a process of its own. All talk over real loopback sockets to the stand-ins of eventrouter.standins.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgpack
import orjson
from prometheus_client.parser import text_string_to_metric_families

from eventrouter.app import App
from eventrouter.capture.batcher import Capture
from eventrouter.capture.lister import Lister
from eventrouter.capture.record import Shaper
from eventrouter.capture.reflector import Reflector
from eventrouter.capture.retry import Retry
from eventrouter.capture.states import OldStates
from eventrouter.clock import Backoff, SystemClock
from eventrouter.config import Config, Listen
from eventrouter.forward.batch import Batch, Positions
from eventrouter.forward.queue import Queue
from eventrouter.kube.api import KubeApi, load_configuration
from eventrouter.kube.events import KubeEvents
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.store import EventStore
from eventrouter.standins.receiver.receiver import Receiver

T = TypeVar("T")
Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
CACHE_BYTES = 16 * 2**20


def eventually(condition: Callable[[], T], *, timeout: float = 10.0, what: str = "") -> T:
    """The first value of `condition()` that is true. An AssertionError if there is none in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or condition}")
        pause.wait(0.01)
    return value


def on_request(
    server: ApiServer, matches: Callable[[Request], object], action: Callable[[], object]
) -> None:
    """Do this right before the next request that matches is answered."""
    strike = server.faults.strike
    is_done = threading.Lock()

    def strike_after(request: Request) -> None:
        if matches(request) and is_done.acquire(blocking=False):
            action()
        strike(request)

    server.faults.strike = strike_after  # type: ignore[method-assign]


def free_port() -> int:
    """A loopback port that nothing listens on, below the range of outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


# ---- the cluster -------------------------------------------------------------------------------


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
            event = {
                "metadata": {"namespace": namespace, "name": name},
                "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web"},
                "type": "Normal",
                "reason": "Started",
                "message": f"Started {name}",
                "count": 1,
                **fields,
            }
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


# ---- the capturing half alone ------------------------------------------------------------------


class FastStop:
    """A stop whose waits are noted and cut short: back-off can be seen without being sat out."""

    def __init__(self, *, longest: float = 0.02) -> None:
        self._event = threading.Event()
        self._longest = longest
        self.waits: list[float] = []

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            self.waits.append(timeout)
            timeout = min(timeout, self._longest)
        return self._event.wait(timeout)


class Follower:
    """A reflector, from the API server to the far end of the queue.

    `records` is what came out, decoded, in order within each kind; `position` is what a checkpoint
    taken now would hold.
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
    ) -> None:
        self.records: list[Json] = []
        self.kinds: list[str] = []
        self.positions: Positions = {}
        self.all_positions: list[str] = []
        self.metrics = Metrics()
        self.queue = queue or Queue(linger=0.0)
        self.stop = FastStop()
        self.failure: BaseException | None = None
        self.health = Health(SystemClock())
        self._namespace = namespace
        self._resume_at = resume_at
        self._taking = threading.Event()
        self._taking.set()
        if not kubeconfig.exists():
            server.write_kubeconfig(kubeconfig)
        self._events = KubeEvents(
            api=KubeApi(load=lambda: load_configuration(str(kubeconfig))),
            field_selector=field_selector,
            metrics=self.metrics,
        )
        retry = Retry(
            namespace=namespace,
            backoff=Backoff(uniform=_middle),
            stop=self.stop,
            metrics=self.metrics,
        )
        self.reflector = Reflector(
            namespace=namespace,
            lister=Lister(
                namespace=namespace, get_page=self._events.page, retry=retry, stop=self.stop
            ),
            watch=self._events.watch,
            retry=retry,
            capture=Capture(shaper=Shaper(), states=OldStates(cache_bytes), metrics=self.metrics),
            queue=self.queue,
            metrics=self.metrics,
            pulse=self.health.thread("events"),
            contact=self.health.link("events"),
            stop=self.stop,
            clock=SystemClock(),
            uniform=_middle,
        )
        self._threads = [
            threading.Thread(target=self._follow, daemon=True),
            threading.Thread(target=self._take, daemon=True),
        ]

    @property
    def position(self) -> str | None:
        return self.positions.get(self._namespace)

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

    def hold(self) -> None:
        """Take nothing from the queue any more."""
        self._taking.clear()

    def release(self) -> None:
        self._taking.set()

    def wait_for(self, condition: Callable[[], object], *, timeout: float = 10.0) -> None:
        eventually(
            lambda: self.failure or condition(),
            timeout=timeout,
            what=f"with {len(self.records)} records, at {self.position}",
        )
        assert self.failure is None, repr(self.failure)

    def wait_for_ids(self, ids: set[str], *, timeout: float = 10.0) -> None:
        self.wait_for(lambda: ids <= set(self.ids), timeout=timeout)

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more records have come."""
        wanted = len(self.records) + count
        self.wait_for(lambda: len(self.records) >= wanted)

    def wait_for_position(self, revision: int, *, timeout: float = 10.0) -> None:
        self.wait_for(lambda: int(self.position or 0) >= revision, timeout=timeout)

    def count(self, name: str, **labels: str) -> int:
        """The value of a counter of the watcher."""
        value = self.metrics.registry.get_sample_value(f"eventrouter_{name}_total", labels)
        return int(value or 0)

    def _follow(self) -> None:
        try:
            self.reflector.run(self._resume_at)
        except BaseException as error:  # noqa: BLE001
            self.failure = error

    def _take(self) -> None:
        while not self.stop.is_set():
            self._taking.wait()
            batch = self.queue.take(patience=0.05)
            if batch is not None and not self.stop.is_set():
                self._keep(batch)

    def _keep(self, batch: Batch) -> None:
        for kind, entries in batch.entries.items():
            self.kinds += [kind] * len(entries)
            self.records += [msgpack.unpackb(entry)[1] for entry in entries]
        self.positions |= batch.positions
        self.all_positions += batch.positions.values()


def _middle(low: float, high: float) -> float:
    return (low + high) / 2


# ---- the whole watcher in this process ---------------------------------------------------------


class Watcher:
    """The application, as `run` has it, but for signals. `stop` may be called once."""

    def __init__(
        self,
        server: ApiServer,
        forward: str,
        directory: Path,
        *,
        checkpoint: bool = True,
        host: str = "127.0.0.1",
        **settings: Any,
    ) -> None:
        kubeconfig = directory / "kubeconfig"
        server.write_kubeconfig(kubeconfig)
        self.checkpoint_path = directory / "checkpoint"
        self.app = App(
            Config(
                kubeconfig=str(kubeconfig),
                forward=forward,
                checkpoint=self.checkpoint_path if checkpoint else None,
                listen=Listen(host, 0),
                **settings,
            )
        )
        self.failed = threading.Event()
        self._is_stopped = False

    def start(self) -> Watcher:
        self.app.start(on_failure=self.failed.set)
        return self

    def stop(self) -> bool:
        self._is_stopped = True
        return self.app.stop()

    def __enter__(self) -> Watcher:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if not self._is_stopped:
            self.stop()
        assert not self.failed.is_set()

    @property
    def checkpoint(self) -> Json:
        return read_checkpoint(self.checkpoint_path)

    def get(self, path: str, *, host: str = "127.0.0.1") -> tuple[int, str]:
        return http_get(f"http://{host}:{self.app.http.port}{path}")

    def numbers(self) -> Numbers:
        return Numbers(self.get("/metrics")[1])

    def numbers_at_rest(self) -> Numbers:
        """The numbers once all that was sent is acknowledged."""
        eventually(lambda: self.numbers()("events_in_flight") == 0)
        return self.numbers()


def http_get(url: str) -> tuple[int, str]:
    """The status and the text."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def read_checkpoint(path: Path) -> Json:
    """What the checkpoint file says now; nothing while there is none."""
    try:
        checkpoint: Json = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {"acked": {}, "delivered": {}}
    return checkpoint


class Numbers:
    """What /metrics says, summed over what is not asked for."""

    def __init__(self, text: str) -> None:
        self.samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> int:
        return round(
            sum(
                sample.value
                for sample in self.samples
                if sample.name in (f"eventrouter_{name}", f"eventrouter_{name}_total")
                and labels.items() <= sample.labels.items()
            )
        )

    def add_up(self) -> bool:
        """The two identities that dashboards rely on."""
        return self("events_received") == (
            self("events_sent") + self("events_discarded") + self("queue_events")
        ) and self("events_sent") == (
            self("events_acked") + self("events_abandoned") + self("events_in_flight")
        )


# ---- the whole watcher as a process ------------------------------------------------------------


class Process:
    """`python -m eventrouter` with these options. `patches` are constants set before it starts."""

    def __init__(
        self, directory: Path, *options: str, patches: Mapping[str, float] | None = None
    ) -> None:
        self.log_path = directory / "log"
        self.port = free_port()
        self.options = [*options, "--listen", f"127.0.0.1:{self.port}"]
        self._patches = patches or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        words = ["-m", "eventrouter"]
        if self._patches:
            lines = ["import sys", "from eventrouter.cli import main"]
            for name, value in self._patches.items():
                module, _, constant = name.rpartition(".")
                lines += [f"import {module}", f"assert {name}", f"{module}.{constant} = {value!r}"]
            words = ["-c", "\n".join([*lines, "sys.exit(main())"])]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *words, *self.options],
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self, *, timeout: float = 20.0) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s; {self.log()}") from None

    def log(self) -> str:
        return self.log_path.read_text()

    def numbers(self) -> Numbers:
        return Numbers(http_get(f"http://127.0.0.1:{self.port}/metrics")[1])

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def clean_environment() -> dict[str, str]:
    """The environment without anything that the watcher reads."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EVENTROUTER_", "KUBE"))
    } | {"PYTHONUNBUFFERED": "1"}


def run(*options: str, timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "eventrouter", *options],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


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


def received_once_or_more(receiver: Receiver, ids: set[str], *, timeout: float = 15.0) -> None:
    """Wait until every one of these has come."""
    receiver.wait_for(lambda: ids <= receiver.records.keys(), timeout=timeout)
