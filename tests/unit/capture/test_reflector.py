"""What a reflector counts. That it loses nothing is tested with a server, in tests/integration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eventrouter.capture.batcher import Capture
from eventrouter.capture.lister import Lister
from eventrouter.capture.record import Shaper
from eventrouter.capture.reflector import Reflector
from eventrouter.capture.retry import Retry
from eventrouter.capture.states import OldStates
from eventrouter.clock import Backoff
from eventrouter.forward.batch import Batch
from eventrouter.forward.queue import Queue
from eventrouter.kube.parsing import Page
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock, FakeStop
from tests.support.events import make_event, read


class BusyQueue(Queue):
    """Between any put and the next step of who put it, another namespace's reflector puts too."""

    def put(self, batch: Batch, *, patience: float) -> bool:
        is_taken = super().put(batch, patience=patience)
        theirs = Batch()
        theirs.add("warning", b"another's")
        theirs.add("normal", b"another's")
        super().put(theirs, patience=patience)
        return is_taken


def test_each_state_is_counted_once_however_many_reflectors_share_the_queue(
    clock: FakeClock, stop: FakeStop, metrics: Metrics
) -> None:
    """Small batches are merged in the queue: what another one adds there is not ours to count."""

    def get_page(namespace: str, **query: Any) -> Page:
        return Page([read(make_event(type="Warning"))], "2000", None)

    @contextmanager
    def watch(namespace: str, **query: Any) -> Iterator[list[list[bytes]]]:
        stop.set()
        yield []

    retry = Retry(namespace="shop", backoff=Backoff(), stop=stop, metrics=metrics)
    reflector = Reflector(
        namespace="shop",
        lister=Lister(namespace="shop", get_page=get_page, retry=retry, stop=stop),
        watch=watch,
        retry=retry,
        capture=Capture(shaper=Shaper(), states=OldStates(0), metrics=metrics),
        queue=BusyQueue(clock=clock),
        metrics=metrics,
        pulse=Pulse(clock),
        contact=Pulse(clock),
        stop=stop,
        clock=clock,
    )

    reflector.run(None)

    assert metrics.total(metrics.received) == 1
    assert reflector.position == "2000"
