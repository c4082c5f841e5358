"""The watcher, that is the product, as a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import urllib3

from tests.programs.module import Module
from tests.support.metrics import Samples
from tests.support.ports import free_port


class Watcher(Module):
    """`eventrouter run` from this checkout. After `kill`, `start` resumes at its checkpoint."""

    name = "watcher"
    module = "eventrouter"
    ready_seconds = 60.0
    stop_seconds = 60.0

    def __init__(
        self,
        directory: Path,
        *,
        kubeconfig: Path,
        forward: str,
        checkpoint: str | None = None,
        buffer_path: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(directory)
        self.checkpoint_file = directory / "checkpoint"
        self._kubeconfig = kubeconfig
        self._forward = forward
        self._checkpoint = checkpoint or f"file:{self.checkpoint_file}"
        self._buffer_path = buffer_path
        self.options = list(options)
        self._port = free_port()
        self._http = urllib3.PoolManager(retries=False, timeout=10.0)

    @property
    def url(self) -> str:
        """Where it serves HTTP, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus would scrape it."""
        return f"{self.url}/metrics"

    def arguments(self) -> list[str]:
        return [
            "run",
            *("--kubeconfig", str(self._kubeconfig)),
            *("--forward", self._forward),
            *("--checkpoint", self._checkpoint),
            *("--buffer-path", str(self._buffer_path) if self._buffer_path else "none"),
            *("--listen", f"127.0.0.1:{self._port}"),
            *("--log-format", "json"),
            *self.options,
        ]

    def is_ready(self) -> bool:
        return self.readyz()[0] == 200

    def readyz(self) -> tuple[int, str]:
        """Status and text; status 0 if it does not answer."""
        return self._get("/readyz")

    def livez(self) -> tuple[int, str]:
        """Status and text; status 0 if it does not answer."""
        return self._get("/livez")

    def metrics(self) -> Samples:
        """All metrics, now."""
        status, text = self._get("/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics answered {status}: {text}")
        return Samples(text)

    def acked(self) -> int:
        """Records acknowledged since it began; 0 while it doesn't answer yet."""
        try:
            return int(self.metrics().total("eventrouter_events_acked_total"))
        except RuntimeError:
            return 0

    def _get(self, path: str) -> tuple[int, str]:
        try:
            answer = self._http.request("GET", f"{self.url}{path}")
        except urllib3.exceptions.HTTPError as error:
            return 0, str(error)
        return answer.status, answer.data.decode()
