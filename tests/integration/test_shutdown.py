"""The end of the process: SIGTERM, a second one, and a sidecar that is or is not there."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import orjson
import pytest

from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.process import Process
from tests.integration.watcher import read_checkpoint, received_once_or_more
from tests.support.chunks import put_chunk
from tests.support.waiting import DEADLINE, eventually


def _process(
    server: ApiServer, forward: str, tmp_path: Path, *options: str, patience: float = DEADLINE
) -> Process:
    """`patience` is for what it sends and delivers before it ends: seconds for each of the two. A
    stop that succeeds does not need them.
    """
    server.write_kubeconfig(tmp_path / "kubeconfig")
    return Process(
        tmp_path,
        *("--kubeconfig", str(tmp_path / "kubeconfig")),
        *("--forward", forward),
        *("--checkpoint", f"file:{tmp_path}/checkpoint"),
        *options,
        patches={
            "eventrouter.pipeline.DRAIN_SECONDS": patience,
            "eventrouter.pipeline.DELIVERY_SECONDS": patience,
            "eventrouter.checkpoint.keeper.ROUND_SECONDS": 0.1,
        },
    )


def _told(process: Process, message: str) -> dict[str, object]:
    """The log line with this message."""
    lines = [orjson.loads(line) for line in process.log().splitlines()]
    return next(line for line in lines if line["message"] == message)


def test_the_stop_does_not_wait_for_each_namespace_of_an_api_server_that_says_nothing(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Nor for the 60 s that a pod is given."""
    namespaces = [f"team-{number}" for number in range(8)]
    options = [f"--namespace={name}" for name in namespaces]
    server.faults.go_silent()
    with _process(server, receiver.url, tmp_path, *options) as process:
        server.wait_for_requests(8)
        process.signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_sends_what_is_queued_and_seals_the_position(
    number: signal.Signals,
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    """Acks held back until after the signal: all is sent, delivered is acked, the exit code 0."""
    buffer = tmp_path / "buffer"
    (buffer / "forward.0").mkdir(parents=True)
    chunk = put_chunk(buffer / "forward.0" / "1-1.flb")
    with _process(server, receiver.url, tmp_path, "--buffer-path", str(buffer)) as process:
        server.wait_for_watches(1)
        cluster.create(name="before")
        received_once_or_more(receiver, cluster.ids())
        eventually(lambda: process.numbers()("events_in_flight") == 0)
        receiver.faults.hold_acks()
        cluster.fill(1200)
        eventually(lambda: process.numbers()("events_received") == 1201)
        process.signal(number)
        server.wait_for_watches(0)
        receiver.faults.release_acks()
        end = {"": str(cluster.revision)}
        eventually(lambda: read_checkpoint(tmp_path / "checkpoint")["acked"] == end)
        chunk.unlink()
        assert process.wait() == 0

    assert sorted(receiver.ids) == sorted(cluster.ids())
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert (checkpoint["acked"], checkpoint["delivered"]) == (end, end)
    assert _told(process, "Stopped")["unsent"] == 0


def test_a_stop_with_a_dead_sidecar_ends_in_time_and_says_what_was_not_sent(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Nothing is lost: the checkpoint stands before it, and the next start sends it."""
    receiver.faults.refuse()
    cluster.fill(20)
    with _process(server, receiver.url, tmp_path, patience=1.5) as process:
        server.wait_for_watches(1)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        stopped = _told(process, "Stopped")
        assert read_checkpoint(tmp_path / "checkpoint")["acked"] == {}
        receiver.faults.listen()
        process.start()
        received_once_or_more(receiver, cluster.ids())

    assert int(str(stopped["unsent"])) + int(str(stopped["unacknowledged"])) == 20


def test_a_stop_while_the_buffer_does_not_run_empty_ends_in_time(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Acked is written, delivered stays where it was."""
    buffer = tmp_path / "buffer"
    (buffer / "forward.0").mkdir(parents=True)
    put_chunk(buffer / "forward.0" / "1-1.flb")
    cluster.fill(3)
    options = ["--buffer-path", str(buffer)]
    with _process(server, receiver.url, tmp_path, *options, patience=1.5) as process:
        received_once_or_more(receiver, cluster.ids())
        server.wait_for_watches(1)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0

    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    assert (checkpoint["acked"], checkpoint["delivered"]) == ({"": str(cluster.revision)}, {})
    assert _told(process, "Stopped")["buffer_is_empty"] is False


def test_a_stop_with_a_silent_api_server_ends_in_time(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """A list that is never answered must not hold up the end."""
    server.faults.go_silent()
    with _process(server, receiver.url, tmp_path) as process:
        server.wait_for_requests(1)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_the_second_signal_ends_the_process_at_once(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Whoever asks twice does not want to wait; the exit code says that it was not clean."""
    receiver.faults.hold_acks()
    cluster.fill(3)
    with _process(server, receiver.url, tmp_path) as process:
        receiver.wait_for_frames(1)
        server.wait_for_watches(1)
        process.signal(signal.SIGTERM)
        server.wait_for_watches(0)
        process.signal(signal.SIGTERM)
        assert process.wait() == 1


def test_a_stop_under_traffic_and_a_start_repeat_nothing(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """A planned restart: each state exactly once, whatever came in between."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.003):
            cluster.create()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        with _process(server, receiver.url, tmp_path) as process:
            for _ in range(2):
                seen = len(receiver.records)
                receiver.wait_for_records(seen + 100)
                server.wait_for_watches(1)  # a list that is not complete begins again
                process.signal(signal.SIGTERM)
                assert process.wait() == 0
                process.start()
            stop.set()
            thread.join()
            received_once_or_more(receiver, cluster.ids())
    finally:
        stop.set()
        thread.join()

    assert sorted(receiver.ids) == sorted(cluster.ids())
