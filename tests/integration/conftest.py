"""Fixtures of the behaviour tests: a cluster, its API server, a receiver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventrouter.kube import credentials, credentials_loader
from eventrouter.setup.mapping import Server
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.setup_command import SetupCommand
from tests.programs.required import required
from tests.support.authority import Authority
from tests.support.searchserver import SearchServer


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("EVENTROUTER_", "KUBE")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _load_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child for each of some hundred watchers would take as long as all the rest. A watcher that
    is a process has its own, and a test has one that asks for `real_child`.
    """
    if "real_child" not in request.fixturenames:
        monkeypatch.setattr(credentials, "ask_child", credentials_loader.load)


@pytest.fixture
def real_child() -> None:
    """For the tests that are about the child."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority", openssl=required("openssl"))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def server(cluster: Cluster) -> Iterator[ApiServer]:
    with ApiServer(cluster.store) as server:
        yield server


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    server.write_kubeconfig(path)
    return path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def setup(capsys: pytest.CaptureFixture[str]) -> SetupCommand:
    return SetupCommand(capsys)


@pytest.fixture
def elasticsearch() -> Iterator[SearchServer]:
    with SearchServer() as server:
        yield server


@pytest.fixture(params=Server, ids=lambda server: server.value)
def search(request: pytest.FixtureRequest) -> Iterator[SearchServer]:
    """An Elasticsearch, then an OpenSearch."""
    with SearchServer(request.param) as server:
        yield server
