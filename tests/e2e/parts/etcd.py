"""etcd, the API server's storage: here so that a test can take away its history."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import urllib3

from tests.e2e.parts.program import Program, free_port


class Etcd(Program):
    """A single etcd that never compacts by itself; `compact` does."""

    name = "etcd"

    def __init__(self, directory: Path, *, binary: Path) -> None:
        super().__init__(directory)
        self._binary = binary
        self._port = free_port()
        self._peer_port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)

    def command(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            str(self._binary),
            "--name=e2e",
            f"--data-dir={self.directory / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=e2e={peer}",
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

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call through etcd's JSON gateway, so that no client library is needed."""
        answer = self._http.request("POST", f"{self.url}/v3/{path}", json=body)
        if answer.status != 200:
            raise RuntimeError(f"etcd refused {path}: {answer.status} {answer.data!r}")
        decoded: dict[str, Any] = answer.json()
        return decoded


def _encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()
