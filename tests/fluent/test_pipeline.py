"""The config in a real Fluent Bit: frames in, acks and lines out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from fluent.sender import EventTime

SECONDS = 30.0


class Sidecar:
    """A Fluent Bit on one of our configs. Each test has its own, with its own ports and folder."""

    def __init__(self, program: str, config: Path, folder: Path, **variables: str) -> None:
        self.port, http_port, nobody = free_ports(3)
        self.chunks = folder / "buffers" / "forward.0"
        self.output = folder / "stdout"
        environment = {
            "FORWARD_PORT": str(self.port),
            "HTTP_PORT": str(http_port),
            "BUFFER_PATH": str(folder / "buffers"),
            "ES_PORT": str(nobody),
            "FLUSH": "0.5",
            "GRACE": "1",
            **variables,
        }
        self._command = [program, "-c", str(config)]
        self._environment = environment
        self.start()

    def start(self) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
            )
        eventually(lambda: can_connect(self.port))

    def send(self, tag: str, *records: dict[str, Any]) -> Any:
        """One frame; what is answered to it."""
        entries = [[EventTime(1_790_000_000.5), record] for record in records]
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as link:
            link.sendall(msgpack.packb([tag, entries, {"chunk": "Y2h1bms="}]))
            return msgpack.unpackb(link.recv(4096))

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.output.read_text().splitlines() if line]

    def chunk_files(self) -> list[str]:
        return sorted(os.listdir(self.chunks)) if self.chunks.exists() else []

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(SECONDS)


@pytest.fixture
def start(fluent_bit: str, fluent_folder: Path, tmp_path: Path) -> Iterator[Callable[..., Sidecar]]:
    started: list[Sidecar] = []

    def start(config: str, **variables: str) -> Sidecar:
        started.append(Sidecar(fluent_bit, fluent_folder / config, tmp_path, **variables))
        return started[-1]

    yield start
    for sidecar in started:
        sidecar.kill()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.02)


def test_a_frame_is_acked_and_printed_and_its_chunk_goes(start: Callable[..., Sidecar]) -> None:
    sidecar = start("stdout.yaml", FLUSH="1")
    record = {"id": "a-1", "event": {"metadata": {"labels": {"app.kubernetes.io/name": "grün"}}}}

    answer = sidecar.send("kube.events.normal", record)

    assert answer == {"ack": "Y2h1bms="}
    eventually(lambda: sidecar.lines() == [record])
    assert "grün" in sidecar.output.read_text()
    eventually(lambda: not sidecar.chunk_files())
    assert sidecar.stop() == 0


def test_an_empty_frame_is_acked_and_prints_nothing(start: Callable[..., Sidecar]) -> None:
    sidecar = start("stdout.yaml")

    assert sidecar.send("kube.events.normal") == {"ack": "Y2h1bms="}

    sidecar.send("kube.events.normal", {"id": "after"})
    eventually(lambda: sidecar.lines() == [{"id": "after"}])


def test_the_largest_event_goes_whole(start: Callable[..., Sidecar]) -> None:
    sidecar = start("stdout.yaml")
    record = {"id": "large", "message": "x" * 4 * 1024 * 1024}

    assert sidecar.send("kube.events.warning", record) == {"ack": "Y2h1bms="}

    eventually(lambda: sidecar.output.stat().st_size > 4 * 1024 * 1024)
    eventually(lambda: sidecar.lines() == [record])


def test_stdout_goes_on_while_elasticsearch_is_down(start: Callable[..., Sidecar]) -> None:
    sidecar = start("fluent-bit.yaml")

    sent = []
    for number in range(5):
        sent.append({"id": str(number)})
        sidecar.send("kube.events.normal", sent[-1])
        eventually(lambda: sidecar.lines() == sent)

    assert sidecar.chunk_files(), "what Elasticsearch has not got must stay on disk"


def test_what_is_acked_outlives_a_kill(start: Callable[..., Sidecar]) -> None:
    sidecar = start("fluent-bit.yaml")
    for number in range(20):
        sidecar.send(f"kube.events.{number}", {"id": str(number)})

    sidecar.kill()
    kept = sidecar.chunk_files()
    sidecar.start()

    assert len(kept) == 20
    everything = {str(number) for number in range(20)}
    # The new one knows no output that had them already, so it prints them all.
    before = len(sidecar.lines())
    eventually(lambda: {line["id"] for line in sidecar.lines()[before:]} == everything)
