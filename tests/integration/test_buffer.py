"""The sidecar's buffer as the watcher sees it: what counts, what is unknown, what stands still."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from eventrouter import pipeline
from eventrouter.checkpoint import backlog, keeper
from eventrouter.forward import pacing
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher, received_once_or_more
from tests.support.chunks import put_chunk
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(backlog, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(pipeline, "DRAIN_SECONDS", 2.0)
    monkeypatch.setattr(pipeline, "DELIVERY_SECONDS", 0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the forward input under a Fluent Bit's storage.path."""
    path = tmp_path / "buffer" / "forward.0"
    path.mkdir(parents=True)
    return path


def _chunk(folder: Path, *, age_seconds: float = 0, number: int = 1) -> Path:
    """A chunk of that age, named as Fluent Bit names it."""
    return put_chunk(folder / f"7-{int(time.time() - age_seconds)}.{number}.flb")


def _gauge(watcher: Watcher, name: str) -> float:
    return watcher.numbers().total(f"eventrouter_buffer_{name}", outputs="required")


def _is_acked(watcher: Watcher, cluster: Cluster) -> bool:
    return bool(watcher.checkpoint["acked"] == {"": str(cluster.revision)})


@pytest.mark.parametrize("other", ["emitter.1", "tail.2"])
def test_the_chunks_of_every_input_count(
    other: str,
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    folder: Path,
) -> None:
    """A filter such as rewrite_tag moves acknowledged records into a chunk of its own input."""
    (folder.parent / other).mkdir()
    chunk = _chunk(folder.parent / other)
    cluster.create()
    with Watcher(server, receiver.url, tmp_path, buffer_path=folder.parent) as watcher:
        eventually(lambda: _is_acked(watcher, cluster))
        cluster.create()
        eventually(lambda: _is_acked(watcher, cluster))
        assert watcher.checkpoint["delivered"] == {}
        chunk.unlink()
        eventually(lambda: watcher.checkpoint["delivered"] == watcher.checkpoint["acked"])


def test_a_buffer_without_a_folder_of_chunks_is_unknown_and_not_empty(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another storage.path, or storage.type memory: what is acknowledged is not seen here."""
    path = tmp_path / "buffer"
    (path / "rejected").mkdir(parents=True)
    with Watcher(server, receiver.url, tmp_path, buffer_path=path) as watcher:
        for _ in range(3):
            cluster.create()
            eventually(lambda: _is_acked(watcher, cluster))
        eventually(lambda: watcher.numbers()("errors", stage="buffer", error_type="missing") > 2)
        assert watcher.checkpoint["delivered"] == {}
        status, text = watcher.get("/readyz")
        assert status == 200
        assert "forward.0" in text
        assert math.isnan(_gauge(watcher, "chunks"))
        assert caplog.text.count("storage.path") == 1

        (path / "forward.0").mkdir()
        eventually(lambda: watcher.checkpoint["delivered"] == watcher.checkpoint["acked"])
        eventually(lambda: watcher.get("/readyz")[1] == "ok\n")


def test_what_waits_is_counted_and_dated(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path, folder: Path
) -> None:
    """In the metrics and, once it is old, in the text of /readyz; never in its status."""
    old = _chunk(folder, age_seconds=3600)
    young = _chunk(folder, number=2)
    cluster.create()
    with Watcher(server, receiver.url, tmp_path, buffer_path=folder.parent) as watcher:
        eventually(lambda: _gauge(watcher, "chunks") == 2)
        assert _gauge(watcher, "oldest_chunk_timestamp_seconds") == pytest.approx(
            time.time() - 3600, abs=60
        )
        eventually(lambda: "ok" in watcher.get("/readyz")[1])
        status, text = watcher.get("/readyz")
        assert status == 200
        assert f"buffer: 2 chunks wait, the oldest for 60 min: forward.0/{old.name}" in text

        old.unlink()
        eventually(lambda: _gauge(watcher, "chunks") == 1)
        assert watcher.get("/readyz") == (200, "ok\n")
        young.unlink()
        eventually(lambda: _gauge(watcher, "chunks") == 0)
        assert math.isnan(_gauge(watcher, "oldest_chunk_timestamp_seconds"))


def test_what_waits_is_counted_where_nothing_new_comes(
    server: ApiServer, receiver: Receiver, tmp_path: Path, folder: Path
) -> None:
    """After a start in the middle of an outage, without a single event."""
    chunk = _chunk(folder, age_seconds=3600)
    with Watcher(server, receiver.url, tmp_path, buffer_path=folder.parent) as watcher:
        eventually(lambda: _gauge(watcher, "chunks") == 1)
        chunk.unlink()
        eventually(lambda: _gauge(watcher, "chunks") == 0)


def test_a_chunk_that_never_leaves_is_named_once(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A poisoned one, or one whose `match` is gone: it holds up `delivered`, so it has a name."""
    monkeypatch.setattr(backlog, "STUCK_SECONDS", 0.2)
    chunk = _chunk(folder, age_seconds=1200)
    cluster.create()
    with Watcher(server, receiver.url, tmp_path, buffer_path=folder.parent) as watcher:
        eventually(lambda: chunk.name in caplog.text)
        line = next(r.getMessage() for r in caplog.records if chunk.name in r.getMessage())
        assert "(tag kube.events.normal)" in line
        assert "for 20 min" in line
        cluster.create()
        eventually(lambda: _is_acked(watcher, cluster))
        assert caplog.text.count(chunk.name) == 1
        assert watcher.checkpoint["delivered"] == {}


def test_events_collect_for_longer_while_chunks_wait_and_no_longer_after(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each batch becomes a chunk for each tag, and Fluent Bit can hold only so many."""
    monkeypatch.setattr(pacing, "LINGER_SECONDS", ((0, 0.0), (2, 600.0)))
    chunks = [_chunk(folder, number=number) for number in range(2)]
    with Watcher(server, receiver.url, tmp_path, buffer_path=folder.parent) as watcher:
        server.wait_for_watches(1)
        eventually(lambda: _gauge(watcher, "chunks") == 2)
        cluster.fill(2)
        eventually(lambda: watcher.numbers()("queue_events") == 2)
        assert receiver.count == 0
        chunks[0].unlink()
        received_once_or_more(receiver, cluster.ids())
