"""Restarts, of every kind that is not planned: nothing is missing after them, and nothing twice."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.e2e.oracle import expected_documents
from tests.e2e.pipeline import INDICES, Pipeline
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e


def test_a_watcher_killed_at_any_moment_misses_nothing(pipeline: Pipeline) -> None:
    """Killed six times under load, at times before it was ready again."""
    listed_at = pipeline.start_following(standing=500)

    with pipeline.load_running(rate=300):
        for _ in range(6):
            time.sleep(pipeline.random.uniform(0.3, 5))
            pipeline.watcher.kill()
            time.sleep(pipeline.random.uniform(0, 1.5))
            pipeline.watcher.start(wait=False)
        time.sleep(2)
    pipeline.watcher.wait_ready()

    pipeline.ledger.check_against(pipeline.apiserver.client)
    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=120)
    assert result.is_clean, result


def test_a_sidecar_killed_at_any_moment_misses_nothing(pipeline: Pipeline) -> None:
    """What it had acknowledged is in its files; what it had not, the watcher sends again."""
    listed_at = pipeline.start_following(standing=500)

    with pipeline.load_running(rate=300):
        for _ in range(5):
            time.sleep(pipeline.random.uniform(0.3, 4))
            pipeline.fluent_bit.kill()
            time.sleep(pipeline.random.uniform(0, 1.5))
            pipeline.fluent_bit.start()
        time.sleep(2)

    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=120)
    assert result.is_clean, result


def test_a_buffer_that_is_gone_with_acknowledged_events_is_made_up_for(pipeline: Pipeline) -> None:
    """As when a pod is deleted while Elasticsearch is down: the new one has an empty buffer.

    The watcher had acks for what was in it, but knows that it was never delivered.
    """
    listed_at = pipeline.start_following(standing=300)
    pipeline.load.run(200, deleted=0)
    eventually(pipeline.is_idle, timeout=30, what="everything delivered")

    pipeline.elasticsearch.freeze()
    pipeline.load.run(500, deleted=0)
    # Until it has all acks, and long enough for its checkpoint to say so.
    eventually(
        lambda: (
            pipeline.watcher.metrics().total("eventrouter_events_acked_total")
            >= len(pipeline.ledger.states) - before_the_list(pipeline, listed_at)
        ),
        timeout=30,
        what="acks for everything",
    )
    time.sleep(3)
    assert pipeline.fluent_bit.chunk_files()
    pipeline.watcher.kill()
    pipeline.fluent_bit.kill()
    shutil.rmtree(pipeline.fluent_bit.buffer_path)
    pipeline.elasticsearch.thaw()
    pipeline.fluent_bit.start()
    pipeline.watcher.start()

    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=120)
    assert result.is_clean, result


def before_the_list(pipeline: Pipeline, listed_at: int) -> int:
    """How many states the first list could no longer show."""
    old = sum(1 for state in pipeline.ledger.states if state.revision <= listed_at)
    return old - len(pipeline.ledger.current(listed_at))


def test_a_clean_stop_and_start_sends_nothing_again(pipeline: Pipeline) -> None:
    """SIGTERM under load, three times: exit code 0, and not one write met its own document."""
    listed_at = pipeline.start_following(standing=300)

    with pipeline.load_running(rate=200):
        for _ in range(3):
            time.sleep(pipeline.random.uniform(1, 3))
            assert pipeline.watcher.stop() == 0
            time.sleep(pipeline.random.uniform(0, 1))
            pipeline.watcher.start()

    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=120)
    assert result.is_clean, result
    assert pipeline.elasticsearch.repeats(INDICES) == 0


def test_a_compacted_checkpoint_costs_only_what_the_api_server_forgot(pipeline: Pipeline) -> None:
    """Away for so long that the history after the checkpoint is gone: resumed at what is left.

    Lost by nature are states that were overwritten before the compacted revision. Every other
    state arrives, old states and all, and nothing arrives twice.
    """
    listed_at = pipeline.start_following(standing=300)
    pipeline.load.run(200, deleted=0)
    shipped = pipeline.all_shipped(listed_at)
    assert pipeline.watcher.stop() == 0

    pipeline.load.run(300, deleted=0)
    pipeline.load.update_standing(100)
    compacted = pipeline.apiserver.client.newest_revision()
    pipeline.load.run(300, deleted=0)
    pipeline.etcd.compact(compacted)
    pipeline.watcher.start()
    pipeline.load.run(100)

    expected = expected_documents(pipeline.ledger, listed_at=listed_at, gaps={shipped: compacted})
    result = pipeline.arrived(expected, timeout=120)
    assert any(not want.is_required for want in expected.values())
    assert result.is_clean, result


def test_a_compaction_during_a_frozen_watch_is_recovered_from(pipeline: Pipeline) -> None:
    """The process slept (SIGSTOP) through writes, a compaction and the end of its connection."""
    listed_at = pipeline.start_following(standing=300)
    pipeline.load.run(100, deleted=0)
    shipped = pipeline.all_shipped(listed_at)

    pipeline.watcher.freeze()
    pipeline.load.run(300, deleted=0)
    compacted = pipeline.apiserver.client.newest_revision()
    pipeline.apiserver.kill()
    pipeline.etcd.compact(compacted)
    pipeline.apiserver.start()
    pipeline.load.run(200, deleted=0)
    pipeline.watcher.thaw()
    pipeline.load.run(100)

    expected = expected_documents(pipeline.ledger, listed_at=listed_at, gaps={shipped: compacted})
    result = pipeline.arrived(expected, timeout=120)
    assert result.is_clean, result


def test_an_api_server_that_went_away_is_followed_again(pipeline: Pipeline) -> None:
    """Killed twice: back at once, and away until the watcher has tried in vain a few times."""
    listed_at = pipeline.start_following(standing=300)
    pipeline.load.run(100)
    pipeline.apiserver.kill()
    pipeline.apiserver.start()
    pipeline.load.run(100)
    pipeline.apiserver.kill()
    time.sleep(5)
    pipeline.apiserver.start()
    pipeline.load.run(100)

    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=120)
    assert result.is_clean, result


def test_a_first_start_that_was_never_acknowledged_is_resumed_too(pipeline: Pipeline) -> None:
    """The sidecar took nothing until the watcher was killed; the API server still has it all.

    The first list's revision is still held by the API server, and every change since.
    """
    pipeline.load.stand(100)
    listed_at = pipeline.apiserver.client.newest_revision()
    pipeline.fluent_bit.freeze()
    pipeline.watcher.start(wait=False)
    eventually(
        lambda: pipeline.watcher.livez()[0] == 200 and received(pipeline) >= 100,
        timeout=30,
        what="the first list, of which nothing can be acknowledged",
    )
    pipeline.load.run(100)
    pipeline.watcher.kill()
    pipeline.fluent_bit.thaw()
    pipeline.watcher.start()

    result = pipeline.arrived(expected_documents(pipeline.ledger, listed_at=listed_at), timeout=30)
    assert result.is_clean, result


def received(pipeline: Pipeline) -> float:
    """How many states the watcher has taken from the API server."""
    return pipeline.watcher.metrics().total("eventrouter_events_received_total")
