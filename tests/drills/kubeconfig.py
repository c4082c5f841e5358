"""Kubeconfigs that the API server of a drill wrote."""

from __future__ import annotations

import base64
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


def with_ca_inline(kubeconfig: Path, ca_file: Path) -> Path:
    """A copy of the kubeconfig that holds what the CA's file has now; replaced at each call."""
    config = json.loads(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    del cluster["certificate-authority"]
    cluster["certificate-authority-data"] = base64.b64encode(ca_file.read_bytes()).decode()
    path = kubeconfig.with_name(f"{kubeconfig.stem}-inline.kubeconfig")
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path
