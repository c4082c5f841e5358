"""Links that die without a word: seen within two minutes, and healed without a restart."""

from __future__ import annotations

import time

import pytest

from tests.e2e.oracle import expected_documents
from tests.e2e.pipeline import Pipeline
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

PROMISED_SECONDS = 120
# What Kubernetes gives a pod to end, unless told otherwise.
POD_GRACE_SECONDS = 30


def test_links_that_went_silent_are_seen_within_two_minutes(pipeline: Pipeline) -> None:
    """API server and Fluent Bit are frozen: no connection breaks, keepalives are answered.

    /readyz names both; /livez stays green, since a restart would help nobody; and when they are
    back, so is the watcher.
    """
    listed_at = pipeline.start_following(standing=100)
    pipeline.load.run(50)

    pipeline.apiserver.freeze()
    pipeline.fluent_bit.freeze()
    complaints = ""

    def both_are_named() -> bool:
        nonlocal complaints
        status, complaints = pipeline.watcher.readyz()
        return status == 503 and "sidecar" in complaints and "events" in complaints

    try:
        # Some seconds for the check itself: the promise is about the watcher, not about polling.
        eventually(both_are_named, timeout=PROMISED_SECONDS + 10, interval=1, what="a red /readyz")
    except TimeoutError:
        pytest.fail(f"after two minutes /readyz says {complaints!r}")
    assert pipeline.watcher.livez()[0] == 200

    pipeline.apiserver.thaw()
    pipeline.fluent_bit.thaw()
    pipeline.load.run(50)
    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=120)
    assert result.is_clean, result
    eventually(
        lambda: pipeline.watcher.readyz()[0] == 200, timeout=60, what="a green /readyz again"
    )


def test_a_stop_takes_no_longer_than_a_pod_is_given(pipeline: Pipeline) -> None:
    """SIGTERM with events in hand while neither end answers; what is unsent is made up later."""
    listed_at = pipeline.start_following(standing=100)
    pipeline.fluent_bit.freeze()
    pipeline.load.run(100)
    eventually(
        lambda: pipeline.watcher.metrics().total("eventrouter_events_in_flight") > 0,
        timeout=30,
        what="records without an ack",
    )
    pipeline.apiserver.freeze()

    started = time.monotonic()
    pipeline.watcher.stop()
    assert time.monotonic() - started < POD_GRACE_SECONDS

    pipeline.apiserver.thaw()
    pipeline.fluent_bit.thaw()
    pipeline.watcher.start()
    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=60)
    assert result.is_clean, result
