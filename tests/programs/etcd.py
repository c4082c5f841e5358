"""etcd, the API server's storage: here so that a test can do to it what happens to real ones."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import urllib3

from tests.programs.program import Program
from tests.support.ports import free_port

_PIPELINED = 200


class Etcd(Program):
    """A single etcd that never compacts by itself; `compact` does."""

    name = "etcd"

    def __init__(self, directory: Path, *, binary: Path) -> None:
        super().__init__(directory)
        self._binary = binary
        self._port = free_port()
        self._peer_port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.data = directory / "data"
        self._http = urllib3.PoolManager(retries=False, timeout=30.0, maxsize=8)

    def command(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            str(self._binary),
            f"--data-dir={self.data}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}",
            *self._membership(),
            "--auto-compaction-retention=0",
            # Tests do not survive a power cut, and a sync for each write would be their main cost.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def is_ready(self) -> bool:
        try:
            return self._http.request("GET", f"{self.url}/health").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def revision(self) -> int:
        """The newest revision: what the API server hands out as resourceVersion."""
        answer = self._post("kv/range", {"key": _encoded("/")})
        return int(answer["header"]["revision"])

    def compact(self, revision: int) -> None:
        """Drop all history before `revision`. What was current at it, and all since, stays."""
        self._post("kv/compaction", {"revision": str(revision), "physical": True})

    def put_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Write keys with their values, each at a revision of its own, some thousand a second.

        A transaction would give all of them one revision; so the requests are sent without waiting
        for the answers (HTTP/1.1 pipelining).
        """
        with (
            socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection,
            connection.makefile("rb") as answers,
        ):
            for first in range(0, len(items), _PIPELINED):
                batch = items[first : first + _PIPELINED]
                connection.sendall(b"".join(_put_request(key, value) for key, value in batch))
                for _ in batch:
                    _read_answer(answers)

    def delete(self, prefix: str) -> None:
        """Delete all keys that begin so, at one revision."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        self._post("kv/deleterange", {"key": _encoded(prefix), "range_end": _encoded(end)})

    def snapshot(self, path: Path) -> None:
        """Save what it holds now, as `etcdctl snapshot save` does."""
        answer = self._http.request("POST", f"{self.url}/v3/maintenance/snapshot", json={})
        with path.open("wb") as file:
            for line in answer.data.splitlines():
                file.write(base64.b64decode(json.loads(line)["result"].get("blob", "")))

    def restore(self, snapshot: Path, *, etcdutl: Path, bump_revision: int) -> None:
        """Put a snapshot in the place of the data, as the books tell those to do it who have
        watchers: revisions go on far above any that was ever given out, and all before is
        compacted. To be called while it is down.
        """
        shutil.rmtree(self.data)
        subprocess.run(
            [
                *(str(etcdutl), "snapshot", "restore", str(snapshot)),
                *(f"--data-dir={self.data}", *self._membership()),
                *(f"--bump-revision={bump_revision}", "--mark-compacted"),
            ],
            check=True,
            capture_output=True,
        )

    def _membership(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            "--name=e2e",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=e2e={peer}",
        ]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call through etcd's JSON gateway, so that no client library is needed."""
        answer = self._http.request("POST", f"{self.url}/v3/{path}", json=body)
        if answer.status != 200:
            raise RuntimeError(f"etcd refused {path}: {answer.status} {answer.data!r}")
        decoded: dict[str, Any] = answer.json()
        return decoded


def _put_request(key: str, value: bytes) -> bytes:
    body = {"key": _encoded(key), "value": base64.b64encode(value).decode()}
    data = json.dumps(body).encode()
    return b"POST /v3/kv/put HTTP/1.1\r\nHost: e2e\r\nContent-Length: %d\r\n\r\n%s" % (
        len(data),
        data,
    )


def _read_answer(answers: BinaryIO) -> None:
    status = answers.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"etcd refused a put: {status!r}")
    length = 0
    while (header := answers.readline().lower()) not in (b"\r\n", b""):
        name, _, text = header.partition(b":")
        if name == b"content-length":
            length = int(text)
    answers.read(length)


def _encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()
