"""Two positions in a file: what was acknowledged, and what has left the sidecar's buffer."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from eventrouter import pipeline
from eventrouter.checkpoint import keeper
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher, received_once_or_more
from tests.support.chunks import put_chunk
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(pipeline, "DRAIN_SECONDS", 2.0)
    monkeypatch.setattr(pipeline, "DELIVERY_SECONDS", 0.3)


@pytest.fixture
def buffer(tmp_path: Path) -> Path:
    """A Fluent Bit's storage.path, with a rejected chunk that nothing waits for."""
    path = tmp_path / "buffer"
    (path / "forward.0").mkdir(parents=True)
    (path / "rejected").mkdir()
    put_chunk(path / "rejected" / "kube.events.normal_400_http.0_0x7f6e17e37980.flb")
    return path


def _chunk(buffer: Path, name: str) -> Path:
    return put_chunk(buffer / "forward.0" / f"{name}.flb")


def _is(watcher: Watcher, *, acked: int, delivered: int | None) -> bool:
    checkpoint = watcher.checkpoint
    wanted = {} if delivered is None else {"": str(delivered)}
    return (checkpoint["acked"], checkpoint["delivered"]) == ({"": str(acked)}, wanted)


def _failures(watcher: Watcher) -> int:
    return watcher.numbers()("checkpoint_writes", result="failed")


def _has_failed_more_often(watcher: Watcher, than: int) -> bool:
    return _failures(watcher) > than


def test_delivered_moves_only_when_the_chunks_noted_at_the_ack_are_gone(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path, buffer: Path
) -> None:
    """Chunks that came later are no reason to wait, those of the time are."""
    cluster.create()
    first = cluster.revision
    old = _chunk(buffer, "old")
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer) as watcher:
        eventually(lambda: _is(watcher, acked=first, delivered=None))
        new = _chunk(buffer, "new")
        cluster.create()
        second = cluster.revision
        eventually(lambda: _is(watcher, acked=second, delivered=None))
        old.unlink()
        eventually(lambda: _is(watcher, acked=second, delivered=first))
        new.unlink()
        eventually(lambda: _is(watcher, acked=second, delivered=second))


def test_without_a_visible_buffer_an_ack_is_a_delivery(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """--buffer-path none: nothing better is known."""
    cluster.create()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))


def test_the_same_buffer_goes_on_at_acked(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path, buffer: Path
) -> None:
    """What the buffer holds will be delivered without us."""
    _chunk(buffer, "stuck")
    cluster.fill(3)
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer) as watcher:
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=None))
    cluster.create()
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer):
        received_once_or_more(receiver, cluster.ids())

    assert sorted(receiver.ids) == sorted(cluster.ids())


def test_another_buffer_goes_on_at_delivered(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path, buffer: Path
) -> None:
    """What the lost buffer may have held is sent again, and nothing before it."""
    cluster.fill(3)
    delivered = cluster.revision
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer) as watcher:
        eventually(lambda: _is(watcher, acked=delivered, delivered=delivered))
        _chunk(buffer, "lost")
        names = cluster.fill(2)
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=delivered))
    first_run = list(receiver.ids)
    shutil.rmtree(buffer)
    (buffer / "forward.0").mkdir(parents=True)
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer):
        cluster.update(names[0])
        received_once_or_more(receiver, cluster.ids())
        eventually(lambda: len(receiver.ids) == len(first_run) + 3)

    assert set(receiver.ids[len(first_run) :]) == cluster.ids(after=delivered)


def test_another_buffer_with_nothing_delivered_lists_everything(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path, buffer: Path
) -> None:
    """No position is good for any buffer: from the start."""
    _chunk(buffer, "lost")
    cluster.fill(3)
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer) as watcher:
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=None))
    shutil.rmtree(buffer)
    (buffer / "forward.0").mkdir(parents=True)
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer):
        receiver.wait_for(lambda: receiver.count == 6)

    assert sorted(receiver.ids) == sorted([*cluster.ids()] * 2)


def test_a_buffer_that_vanishes_delivers_nothing(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    buffer: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A folder that cannot be looked into is not an empty one: its chunks may be gone with it."""
    _chunk(buffer, "lost")
    cluster.create()
    first = cluster.revision
    with Watcher(server, receiver.url, tmp_path, buffer_path=buffer) as watcher:
        eventually(lambda: _is(watcher, acked=first, delivered=None))
        shutil.rmtree(buffer)
        for _ in range(3):
            cluster.create()
            eventually(lambda: watcher.checkpoint["acked"] == {"": str(cluster.revision)})
        assert watcher.checkpoint["delivered"] == {}
        assert caplog.text.count("--buffer-path") == 1


@pytest.mark.parametrize("change", ["server", "selector"])
def test_another_source_is_listed_anew_and_says_so(
    change: str,
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The numbers of another server or selector mean something else here."""
    cluster.fill(4)
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))
    caplog.clear()
    if change == "server":
        with ApiServer(cluster.store) as other, Watcher(other, receiver.url, tmp_path):
            receiver.wait_for(lambda: receiver.count == 8)
    else:
        with Watcher(server, receiver.url, tmp_path, field_selector="type=Normal"):
            receiver.wait_for(lambda: receiver.count == 8)

    assert sorted(receiver.ids) == sorted([*cluster.ids()] * 2)
    assert "of another API server or selector" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 99}', b"\xff\x00", b"[]"])
def test_a_checkpoint_that_is_none_is_told_and_started_over(
    content: bytes,
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of another version, or half a disk's worth of nothing."""
    cluster.create()
    (tmp_path / "checkpoint").write_bytes(content)
    with Watcher(server, receiver.url, tmp_path) as watcher:
        received_once_or_more(receiver, cluster.ids())
        eventually(lambda: watcher.checkpoint_path.read_bytes() != content)
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))

    assert "cannot be understood" in caplog.text


def test_a_checkpoint_that_cannot_be_written_is_tried_again_and_told_once(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The events flow on meanwhile, and the checkpoint is right as soon as it can be."""
    obstacle = tmp_path / "checkpoint.new"
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))
        obstacle.mkdir()
        for _ in range(3):
            failed = _failures(watcher)
            cluster.create()
            received_once_or_more(receiver, cluster.ids())
            eventually(partial(_has_failed_more_often, watcher, failed))
        assert caplog.text.count("cannot write the checkpoint") == 1
        obstacle.rmdir()
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))


def test_nothing_is_sent_before_the_start_of_a_first_list_is_written(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Else a crash would have the next start list the newest revision, and skip states."""
    obstacle = tmp_path / "checkpoint.new"
    obstacle.mkdir()
    cluster.fill(3)
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: _failures(watcher) >= 2)
        assert receiver.count == 0
        assert watcher.get("/livez")[0] == 200
        obstacle.rmdir()
        received_once_or_more(receiver, cluster.ids())
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))


def test_a_checkpoint_file_is_whole_at_any_moment(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """It is replaced, never written over: whoever reads it at any time can go on from it."""
    with Watcher(server, receiver.url, tmp_path) as watcher:
        last = 0
        for _ in range(8):
            cluster.create()
            eventually(lambda: watcher.checkpoint["acked"].get("") == str(cluster.revision))
            position = int(watcher.checkpoint["acked"][""])
            assert position > last
            last = position


def test_a_history_that_went_back_takes_the_checkpoint_with_it(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Both positions are of the history that is, not of the one that was."""
    cluster.fill(3)
    restored = cluster.revision
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        cluster.create()
        eventually(lambda: _is(watcher, acked=restored + 1, delivered=restored + 1))
        cluster.store.restore(restored)
        server.faults.close_watches()
        eventually(lambda: _is(watcher, acked=restored, delivered=restored))


def test_an_undone_future_is_forgotten_before_the_new_history_has_been_listed(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Else a restart goes on at a position of the undone history, once the new one has passed it.

    The states of the new history up to there would never be sent.
    """
    cluster.fill(3)
    restored = cluster.revision
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        cluster.fill(5)
        eventually(lambda: _is(watcher, acked=restored + 5, delivered=restored + 5))
        receiver.faults.pause()
        cluster.store.restore(restored)
        undone = len(cluster.states)
        server.faults.close_watches()
        eventually(lambda: int(watcher.checkpoint["acked"].get("", 0)) < restored)
    cluster.fill(8)
    receiver.faults.resume()

    with Watcher(server, receiver.url, tmp_path):
        received_once_or_more(receiver, {state.id for state in cluster.states[undone:]})


@pytest.mark.parametrize("is_compacted", [False, True], ids=["held", "compacted"])
def test_a_first_list_that_came_to_nothing_is_begun_where_it_began(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    is_compacted: bool,
) -> None:
    """What changed between two starts is still in the API server's history, or most of it."""
    name = cluster.create()
    receiver.faults.pause()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: watcher.checkpoint.get("started") == {"": str(cluster.revision)})
    cluster.update(name)
    if is_compacted:
        cluster.store.compact(cluster.revision)
    oldest = cluster.revision if is_compacted else 0
    cluster.update(name)
    receiver.faults.resume()

    with Watcher(server, receiver.url, tmp_path) as watcher:
        received_once_or_more(receiver, {f"{s.id}" for s in cluster.states if s.revision >= oldest})
        eventually(lambda: _is(watcher, acked=cluster.revision, delivered=cluster.revision))
        assert watcher.checkpoint.get("started") == {}


def test_a_first_list_begun_on_another_history_is_begun_anew(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """The revision where it began was never reached by this server."""
    before = cluster.revision
    cluster.fill(3)
    receiver.faults.pause()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: watcher.checkpoint.get("started") == {"": str(cluster.revision)})
    cluster.store.restore(before)
    cluster.create()
    receiver.faults.resume()

    with Watcher(server, receiver.url, tmp_path):
        received_once_or_more(receiver, {cluster.states[-1].id})
