"""Fluent Bit, with any config file."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import urllib3

from tests.programs.program import Program
from tests.support.ports import accepts, free_port


def dry_run(
    binary: Path, config: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Have Fluent Bit check the config, with these variables and no others."""
    return subprocess.run(
        [binary, "-c", config, "--dry-run"],
        env=dict(variables or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class FluentBit(Program):
    """One Fluent Bit on a config that takes its ports and its storage path from the environment.

    The variables are those of the project's own configs: FORWARD_PORT, HTTP_PORT, BUFFER_PATH.
    More can be given. After `kill`, `start` finds the same buffer.
    """

    name = "fluent-bit"

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path,
        config: Path,
        variables: Mapping[str, str] | None = None,
        buffer_path: Path | None = None,
    ) -> None:
        super().__init__(directory)
        self._binary = binary
        self._config = config
        self._variables = dict(variables or {})
        self.forward_port = free_port()
        self.http_port = free_port()
        self.buffer_path = buffer_path or directory / "buffer"
        self._http = urllib3.PoolManager(retries=False, timeout=5.0)

    def command(self) -> list[str]:
        return [str(self._binary), "-c", str(self._config)]

    def environment(self) -> Mapping[str, str]:
        return {
            "FORWARD_PORT": str(self.forward_port),
            "HTTP_PORT": str(self.http_port),
            "BUFFER_PATH": str(self.buffer_path),
            **self._variables,
        }

    def is_ready(self) -> bool:
        if not accepts(self.forward_port):
            return False
        try:
            url = f"http://127.0.0.1:{self.http_port}/api/v1/health"
            return self._http.request("GET", url).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    @property
    def forward_url(self) -> str:
        """Where the watcher sends to."""
        return f"tcp://127.0.0.1:{self.forward_port}"

    def chunk_files(self) -> list[Path]:
        """What its buffer holds for the outputs."""
        return sorted(self.buffer_path.glob("forward.0/*.flb"))
