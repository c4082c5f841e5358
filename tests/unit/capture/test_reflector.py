"""A reflector against an event store without a network: what it sends, whatever happens meanwhile.

The same with real sockets and single faults is tested in tests/integration.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventrouter.capture import reflector
from eventrouter.capture.following import build_reflector
from eventrouter.forward.batch import Batch
from eventrouter.forward.queue import Queue
from eventrouter.kube.parsing import Page, parse_page
from eventrouter.kube.status import answer_error
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics
from eventrouter.standins.apiserver.changes import Change
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.listing import list_events
from eventrouter.standins.apiserver.status import EXPIRED_WATCH, Refusal
from eventrouter.standins.apiserver.store import Compacted
from tests.integration.cluster import Cluster
from tests.support.clock import FakeClock, FakeStop
from tests.support.events import make_event, read
from tests.support.values import unpack


class Unheard:
    """Takes a reflector's progress, and does nothing with it."""

    def begin_list(self, *_: Any, **__: Any) -> None:
        pass

    def history_went_back(self, *_: Any, **__: Any) -> None:
        pass


class BusyQueue(Queue):
    """Between any put and the next step of who put it, another namespace's reflector puts too."""

    def put(self, batch: Batch, *, patience_seconds: float) -> bool:
        is_taken = super().put(batch, patience_seconds=patience_seconds)
        theirs = Batch()
        theirs.add("warning", b"another's")
        theirs.add("normal", b"another's")
        super().put(theirs, patience_seconds=patience_seconds)
        return is_taken


def test_each_state_is_counted_once_however_many_reflectors_share_the_queue(
    clock: FakeClock, stop: FakeStop, metrics: Metrics
) -> None:
    """Small batches are merged in the queue: what another one adds there is not ours to count."""

    class Source:
        """One event at revision 2000, and then a watch without a line."""

        def page(self, namespace: str, **query: Any) -> Page:
            return Page([read(make_event(type="Warning"))], "2000", None)

        @contextmanager
        def watch(self, namespace: str, **query: Any) -> Iterator[list[list[bytes]]]:
            stop.set()
            yield []

    following = build_reflector(
        namespace="shop",
        source=Source(),
        queue=BusyQueue(clock=clock),
        progress=Unheard(),
        cluster=None,
        old_event_cache_bytes=0,
        metrics=metrics,
        health=Health(clock),
        stop=stop,
        clock=clock,
    )

    following.run(None)

    assert metrics.total(metrics.received) == 1
    assert following.position == "2000"


# --- whatever happens between two requests


class Story:
    """An API server with a store, where something may happen before each request.

    Once the story is told and a watch has nothing more to give, it stops the reflector.
    """

    def __init__(self, steps: list[str], *, clock: FakeClock, stop: FakeStop) -> None:
        self.cluster = Cluster()
        self._steps = iter(steps)
        self._clock = clock
        self._stop = stop
        self._names = self.cluster.fill(9)
        self._turn = 0
        self._ends = [self.cluster.revision]
        self.has_compacted = False

    def happen(self) -> bool:
        """The next step. False if there is none left."""
        step = next(self._steps, None)
        self._turn += 1
        name = self._names[self._turn * 4 % len(self._names)]
        if step == "update":
            self.cluster.update(name)
        elif step == "twice":
            self.cluster.update(name)
            self.cluster.update(name)
        elif step == "create":
            self._names.append(self.cluster.create(name=f"{'az'[self._turn % 2]}-{self._turn}"))
        elif step == "replace":
            self.cluster.delete(name)
            self.cluster.create(name=name)
        elif step == "compact":
            self.has_compacted = True
            self.cluster.store.compact()
        elif step == "compact some":
            self.has_compacted = True
            self.cluster.store.compact(self._ends[-1])
            self._ends.append(self.cluster.revision)
        elif step == "wait":
            self._clock.advance(reflector.UPKEEP_SECONDS)
        return step is not None

    def page(
        self,
        namespace: str,
        *,
        limit: int,
        resource_version: str | None = None,
        continue_token: str | None = None,
        selected: bool = True,
        max_bytes: int = 0,
    ) -> Page:
        self.happen()
        query = {"limit": str(min(limit, 3))}
        if resource_version is not None:
            query |= {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        if continue_token is not None:
            query["continue"] = continue_token
        try:
            return parse_page(
                list_events(self.cluster.store, Request("GET", "/api/v1/events", query, {}))
            )
        except Refusal as refusal:
            raise answer_error(
                refusal.body, code=refusal.code, phrase=None, path="", retry_after=None
            ) from None

    @contextmanager
    def watch(
        self, namespace: str, *, resource_version: str, timeout_seconds: int
    ) -> Iterator[Iterator[list[bytes]]]:
        is_left = self.happen()
        yield self._lines(int(resource_version), timeout_seconds, is_left)

    def _lines(self, after: int, seconds: int, is_left: bool) -> Iterator[list[bytes]]:
        try:
            watch = self.cluster.store.watch(after)
        except Compacted:
            yield [Refusal.expired(EXPIRED_WATCH).line]
            return
        while changes := watch.take(timeout=0.0):
            yield [change.line for change in changes if isinstance(change, Change)]
            self.happen()
        watch.close()
        self._clock.advance(seconds)
        if not is_left and seconds > 50:
            self._stop.set()


class Sink(Queue):
    """Keeps what is put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Any]] = []
        self.positions: list[tuple[int, int]] = []  # with how many records there were by then

    def put(self, batch: Batch, *, patience_seconds: float) -> bool:
        for entries in batch.entries.values():
            self.kept += [unpack(entry)[1] for entry in entries]
        for position in batch.positions.values():
            self.positions.append((int(position.resource_version), len(self.kept)))
        return True


def _check_records(sink: Sink, cluster: Cluster) -> None:
    states = {state.id: state for state in cluster.states}
    for record in sink.kept:
        state = states[record["id"]]
        assert record["event"] == state.event
        if "old_event" in record:
            assert record["verb"] == "UPDATED"
            assert record["old_event"] == state.old_event


def _present(cluster: Cluster) -> set[str]:
    """The ids of the states that a list shows now."""
    page = parse_page(
        list_events(cluster.store, Request("GET", "/api/v1/events", {"limit": "9999"}, {}))
    )
    return {f"{event.metadata.uid}-{event.metadata.resource_version}" for event in page.items}


steps = st.lists(
    st.sampled_from(
        ["update", "update", "twice", "create", "replace", "compact", "compact some", "wait", ""]
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(
    steps, st.sampled_from(["first list", "resume", "list at"]), st.sampled_from([1 << 20, 4000])
)
def test_whatever_happens_meanwhile_the_present_is_sent_and_no_old_state_is_guessed(
    story: list[str], start: str, cache_bytes: int
) -> None:
    """Changes and compactions between any two requests, in lists that take long and short ones.

    As long as nothing is compacted, every state since the start comes. And what stands before a
    position is sent before it.
    """
    clock, stop, sink = FakeClock(), FakeStop(after_waits=500), Sink()
    server = Story(story, clock=clock, stop=stop)
    cluster = server.cluster
    begin = cluster.revision
    following = build_reflector(
        namespace="",
        source=server,
        queue=sink,
        progress=Unheard(),
        cluster=None,
        old_event_cache_bytes=cache_bytes,
        metrics=Metrics(),
        health=Health(clock),
        stop=stop,
        clock=clock,
    )

    following.run(
        str(begin) if start == "resume" else None,
        list_at=str(begin) if start == "list at" else None,
    )

    assert len(stop.waits) < 400
    _check_records(sink, cluster)
    wanted = _present(cluster)
    if start == "resume":
        wanted &= cluster.ids(after=begin)
    if start != "first list" and not server.has_compacted:
        wanted |= cluster.ids(after=begin)
    assert wanted <= {record["id"] for record in sink.kept}
    assert sink.positions == sorted(sink.positions)
    for position, count in sink.positions:  # a crash may come at any time
        complete = {id_ for id_ in wanted if int(id_.rpartition("-")[2]) <= position}
        assert complete <= {record["id"] for record in sink.kept[:count]}
