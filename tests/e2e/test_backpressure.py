"""A sidecar that takes nothing: the watcher holds what it may, stops reading, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.e2e.direct import take_down, writing
from tests.e2e.oracle import expected_documents
from tests.e2e.pipeline import Pipeline
from tests.programs import KubeClient
from tests.support.metrics import Samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

AWAY_SECONDS = 60
# Creates and updates through the API, and new events straight into its etcd: 500 a second together,
# which is more than the API server can accept on a small machine.
API_RATE, DIRECT_RATE = 100, 400
# Records of some 3 kB with their old state: they reach the queue's limit within the minute.
MESSAGE_SIZE = 1000
MIB = 2**20


@contextmanager
def frozen(pipeline: Pipeline) -> Iterator[None]:
    """Its connections stay open and are not read: acks stop coming, nothing is refused."""
    pipeline.fluent_bit.freeze()
    yield
    pipeline.fluent_bit.thaw()


@contextmanager
def killed(pipeline: Pipeline) -> Iterator[None]:
    """Its connections are reset, and new ones are refused."""
    pipeline.fluent_bit.kill()
    yield
    pipeline.fluent_bit.start()


def open_watches(client: KubeClient) -> int:
    """How many watches on events the API server serves, by its own count."""
    text = client.request("GET", "/metrics").data.decode()
    return int(
        Samples(text).total(
            "apiserver_longrunning_requests", group="", resource="events", verb="WATCH"
        )
    )


def await_open_watch(client: KubeClient) -> None:
    eventually(lambda: open_watches(client) == 1, what="one watch, and no more")


def assert_the_sums_hold(metrics: Samples) -> None:
    """Every state received is in exactly one place, and every record sent in one of two."""
    received, sent, acked, discarded = (
        metrics.total(f"eventrouter_events_{name}_total")
        for name in ("received", "sent", "acked", "discarded")
    )
    assert received == sent + discarded + metrics.total("eventrouter_queue_events")
    assert sent == acked + metrics.total("eventrouter_events_in_flight")


@pytest.mark.parametrize("outage", [frozen, killed])
def test_a_sidecar_that_is_away_costs_no_event_and_no_memory(
    pipeline: Pipeline, outage: Callable[[Pipeline], AbstractContextManager[None]]
) -> None:
    """A minute without Fluent Bit at 500 writes a second."""
    pipeline.load.stand(1000)
    listed_at = pipeline.apiserver.client.newest_revision()
    pipeline.watcher.start()
    await_open_watch(pipeline.apiserver.client)  # it is ready from the first page of the list on
    memory: list[int] = []

    with (
        pipeline.load_running(rate=API_RATE, message_size=MESSAGE_SIZE) as written,
        writing(
            pipeline.etcd, pipeline.random, rate=DIRECT_RATE, message_size=MESSAGE_SIZE
        ) as direct,
    ):
        time.sleep(5)
        with outage(pipeline):
            away_until = time.monotonic() + AWAY_SECONDS
            eventually(
                lambda: (
                    pipeline.watcher.metrics().total("eventrouter_watch_total", result="queue_full")
                    >= 1
                ),
                # A slow machine fills the queue later; then the outage is longer than a minute.
                timeout=3 * AWAY_SECONDS,
                what="the watch closed because the queue stays full",
            )
            while not memory or time.monotonic() < away_until:
                memory.append(pipeline.watcher.memory_bytes())
                assert open_watches(pipeline.apiserver.client) == 0
                assert_the_sums_hold(pipeline.watcher.metrics())
                assert pipeline.watcher.livez()[0] == 200
                time.sleep(1)
        time.sleep(5)

    take_down(pipeline.apiserver.client, pipeline.ledger)
    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=240)
    memory.append(pipeline.watcher.memory_bytes())
    print(
        f"{len(pipeline.ledger.states)} states, "
        f"{written.rate + direct.rate:.0f} writes a second, "
        f"the watcher took {min(memory) / MIB:.0f} to {max(memory) / MIB:.0f} MiB"
    )
    assert result.is_clean, result
    await_open_watch(pipeline.apiserver.client)
    assert_the_sums_hold(pipeline.watcher.metrics())
    # The process itself, the cache of old states (16 MiB) and the queue (8 MiB), each once.
    assert max(memory) < 150 * MIB
    assert max(memory) - min(memory) < 32 * MIB
