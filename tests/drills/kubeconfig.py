"""Kubeconfigs that the API server of a drill wrote."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from tests.programs import KubeClient
from tests.support.kubeconfig import write_exec_plugin

_ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
CREDENTIAL = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}


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


def with_exec_plugin(kubeconfig: Path) -> Path:
    """A copy of the kubeconfig without its token: a plugin reads that from the kubeconfig."""
    script = kubeconfig.with_suffix(".py")
    script.write_text(
        "import json\n"
        f"token = json.load(open({str(kubeconfig)!r}))['users'][0]['user']['token']\n"
        f"print(json.dumps({CREDENTIAL!r} | {{'status': {{'token': token}}}}))\n"
    )
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = write_exec_plugin(
        kubeconfig.with_suffix(".plugin"), f"exec {sys.executable} {script}"
    )
    path = kubeconfig.with_name(f"{kubeconfig.stem}-exec.kubeconfig")
    path.write_text(json.dumps(config))
    return path


def take_account(client: KubeClient) -> None:
    """Delete the watcher's account, and with it its tokens. The API server goes on to believe in a
    token for some seconds after it has looked.
    """
    client.call("DELETE", f"{_ACCOUNTS}/eventrouter")


def give_account(client: KubeClient, kubeconfig: Path) -> None:
    """Make the account again, and have the kubeconfig hold a token of it, at one moment."""
    client.call("POST", _ACCOUNTS, {"metadata": {"name": "eventrouter"}})
    _replace_token(kubeconfig, client.token_of("eventrouter"))


def _replace_token(kubeconfig: Path, token: str) -> None:
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"]["token"] = token
    new = kubeconfig.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(config))
    new.replace(kubeconfig)
