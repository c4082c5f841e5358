"""Kubeconfigs that the API server of a drill wrote."""

from __future__ import annotations

import json
from pathlib import Path


def administrator(kubeconfig: Path) -> str:
    """The token of the account."""
    token: str = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    return token


def led_to(kubeconfig: Path, port: int) -> Path:
    """A copy of the kubeconfig that reaches the API server through this loopback port."""
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path = kubeconfig.with_name(f"{kubeconfig.stem}-{port}.kubeconfig")
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path
