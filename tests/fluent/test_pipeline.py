"""The config in a real Fluent Bit: frames in, acks and lines out."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgpack
import pytest
from fluent.sender import EventTime

from tests.programs import FluentBit
from tests.support.ports import free_port
from tests.support.waiting import eventually

SECONDS = 30.0


class Sidecar(FluentBit):
    """A Fluent Bit on one of our configs. Each test has its own, with its own ports and folder."""

    stop_seconds = SECONDS
    limit = 0  # of descriptors, if not that of the tests

    def command(self) -> list[str]:
        prefix = ["prlimit", f"--nofile={self.limit}:"] if self.limit else []
        return [*prefix, *super().command()]

    def __init__(self, binary: Path, config: Path, folder: Path, **variables: str) -> None:
        nobody = {"ES_PORT": str(free_port()), "FLUSH": "0.5", "GRACE": "1"}
        super().__init__(folder, binary=binary, config=config, variables=nobody | variables)
        self.output_path = self.output = folder / "stdout"

    def send(self, tag: str, *records: dict[str, Any]) -> Any:
        """One frame; what is answered to it."""
        entries = [[EventTime(1_790_000_000.5), record] for record in records]
        with socket.create_connection(("127.0.0.1", self.forward_port), timeout=SECONDS) as link:
            link.sendall(msgpack.packb([tag, entries, {"chunk": "Y2h1bms="}]))
            return msgpack.unpackb(link.recv(4096))

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.output.read_text().splitlines() if line]


@pytest.fixture
def start(
    fluent_bit: Path, fluent_folder: Path, tmp_path: Path
) -> Iterator[Callable[..., Sidecar]]:
    with ExitStack() as started:

        def start(config: str, **variables: str) -> Sidecar:
            sidecar = Sidecar(fluent_bit, fluent_folder / config, tmp_path, **variables)
            return started.enter_context(sidecar)

        yield start


def test_a_frame_is_acked_and_printed_and_its_chunk_goes(start: Callable[..., Sidecar]) -> None:
    sidecar = start("stdout.yaml", FLUSH="1")
    record = {"id": "a-1", "event": {"metadata": {"labels": {"app.kubernetes.io/name": "grün"}}}}

    answer = sidecar.send("kube.events.normal", record)

    assert answer == {"ack": "Y2h1bms="}
    eventually(lambda: sidecar.lines() == [record], timeout=SECONDS)
    assert "grün" in sidecar.output.read_text()
    eventually(lambda: not sidecar.chunk_files(), timeout=SECONDS)
    assert sidecar.stop() == 0


def test_an_empty_frame_is_acked_and_prints_nothing(start: Callable[..., Sidecar]) -> None:
    sidecar = start("stdout.yaml")

    assert sidecar.send("kube.events.normal") == {"ack": "Y2h1bms="}

    sidecar.send("kube.events.normal", {"id": "after"})
    eventually(lambda: sidecar.lines() == [{"id": "after"}], timeout=SECONDS)


def test_the_largest_event_goes_whole(start: Callable[..., Sidecar]) -> None:
    sidecar = start("stdout.yaml")
    record = {"id": "large", "message": "x" * 4 * 1024 * 1024}

    assert sidecar.send("kube.events.warning", record) == {"ack": "Y2h1bms="}

    eventually(lambda: sidecar.output.stat().st_size > 4 * 1024 * 1024, timeout=SECONDS)
    eventually(lambda: sidecar.lines() == [record], timeout=SECONDS)


def test_stdout_goes_on_while_elasticsearch_is_down(start: Callable[..., Sidecar]) -> None:
    sidecar = start("fluent-bit.yaml")

    sent = []
    for number in range(5):
        sent.append({"id": str(number)})
        sidecar.send("kube.events.normal", sent[-1])
        eventually(lambda: sidecar.lines() == sent, timeout=SECONDS)

    assert sidecar.chunk_files(), "what Elasticsearch has not got must stay on disk"


def test_what_is_acked_outlives_a_kill(start: Callable[..., Sidecar]) -> None:
    sidecar = start("fluent-bit.yaml")
    for number in range(20):
        sidecar.send(f"kube.events.{number}", {"id": str(number)})

    sidecar.kill()
    kept = sidecar.chunk_files()
    before = len(sidecar.lines())
    sidecar.start()

    assert len(kept) == 20
    everything = {str(number) for number in range(20)}
    # The new one does not know which output has had them, so it prints them all.
    eventually(
        lambda: {line["id"] for line in sidecar.lines()[before:]} == everything, timeout=SECONDS
    )


def test_it_raises_its_own_limit_of_descriptors(start: Callable[..., Sidecar]) -> None:
    """It starts itself anew in the same process, and goes on as it is if it may not."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    sidecar = start("stdout.yaml")
    sidecar.kill()

    sidecar.limit = 1024
    sidecar.start()

    wanted = 65_536 if most == resource.RLIM_INFINITY else min(most, 65_536)
    assert resource.prlimit(sidecar.pid, resource.RLIMIT_NOFILE) == (max(1024, wanted), most)
    environment = Path(f"/proc/{sidecar.pid}/environ").read_bytes().split(b"\0")
    assert f"MAX_CHUNKS_UP={max(800, wanted // 4)}".encode() in environment
    assert sidecar.send("kube.events.normal", {"id": "a"}) == {"ack": "Y2h1bms="}
    assert sidecar.stop() == 0
