"""The promise in full: what the API server accepted is what Elasticsearch holds, once each."""

from __future__ import annotations

import pytest

from tests.e2e.oracle import expected_documents
from tests.e2e.pipeline import Pipeline

pytestmark = pytest.mark.e2e


def test_every_state_of_every_event_arrives_once_and_whole(pipeline: Pipeline) -> None:
    """2,500 events stand there at the start; 2,000 more are made and updated while it runs."""
    pipeline.load.stand(2500)
    standing_at = pipeline.apiserver.client.newest_revision()

    pipeline.watcher.start()
    pipeline.load.run(2000)
    pipeline.load.update_standing(200)

    pipeline.ledger.check_against(pipeline.apiserver.client)
    expected = expected_documents(pipeline.ledger, listed_at=standing_at)
    result = pipeline.arrived(expected, timeout=120)
    assert len(expected) > 2500 + 2000 * 3
    assert result.is_clean, result


def test_only_the_named_namespaces_are_followed_each_from_its_own_place(
    pipeline: Pipeline,
) -> None:
    """Two of three namespaces, one of them busy; killed in between, so that both must resume."""
    pipeline.watcher.options += ["--namespace", "team-a", "--namespace", "team-b"]
    standing_at = pipeline.start_following(standing=200)
    pipeline.load.run(200)
    pipeline.watcher.kill()
    pipeline.load.run(100)
    pipeline.watcher.start()

    expected = {
        id_: want
        for id_, want in expected_documents(pipeline.ledger, listed_at=standing_at).items()
        if want.event["metadata"]["namespace"] != "default"
    }
    result = pipeline.arrived(expected, timeout=60)
    assert result.is_clean, result
