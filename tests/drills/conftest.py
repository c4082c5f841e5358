"""The drills' fixtures and table: tests that would catch a false "nothing lost, nothing twice".

Each drill puts a steady load of creations and updates on real programs, with a ledger of every
state that the API server accepted, does its damage, and holds Elasticsearch against the ledger,
document by document. DRILLS=long runs them at their full figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.drills.drill import Drill
from tests.drills.row import Row
from tests.e2e.conftest import (  # noqa: F401
    GetPart,
    part,
    running_cluster,
    session_elasticsearch,
)
from tests.e2e.pipeline import INDICES
from tests.programs import ApiServer, Elasticsearch, Etcd, Program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The soak is by far the longest: begun first, two workers end at about the same time."""
    items.sort(key=lambda item: item.path.name != "test_soak.py")


@pytest.fixture(scope="module")
def etcd(
    part: GetPart,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Etcd]:
    with Etcd(tmp_path_factory.mktemp("etcd"), binary=part("etcd")) as server:
        yield server


@pytest.fixture(scope="module")
def apiserver(
    part: GetPart,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    etcd: Etcd,
) -> Iterator[ApiServer]:
    """One for all drills of a module: the start is a good part of what a drill takes."""
    directory = tmp_path_factory.mktemp("apiserver")
    with running_cluster(directory, part=part, etcd=etcd) as server:
        yield server


@pytest.fixture
def drill(
    request: pytest.FixtureRequest,
    part: GetPart,  # noqa: F811
    tmp_path: Path,
    etcd: Etcd,
    apiserver: ApiServer,
    session_elasticsearch: Elasticsearch,  # noqa: F811
) -> Iterator[Drill]:
    """A drill on programs without an event, a Lease or a document, and no history of any, whatever
    the last one did to them. Its row is in the table whether it failed or not.
    """
    elasticsearch = session_elasticsearch
    for server in (etcd, apiserver, elasticsearch):
        _have_up(server)
    for kind in ("events", "leases/default"):
        etcd.delete(f"/registry/{kind}/")
    etcd.compact(etcd.revision())
    elasticsearch.delete(INDICES)
    drill = Drill(
        name=request.node.name.removeprefix("test_").replace("_", " "),
        directory=tmp_path,
        etcd=etcd,
        apiserver=apiserver,
        elasticsearch=elasticsearch,
        fluent_bit_binary=part("fluent-bit"),
    )
    yield drill
    drill.close()
    if drill.row is not None:
        # Goes with the test's report, also from a worker to the process that prints the table.
        request.node.user_properties.append(("drill", asdict(drill.row)))


def _have_up(server: Program) -> None:
    if server.is_running:
        server.thaw()
        server.wait_ready()
    else:
        server.start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table."""
    rows = [
        Row(**value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == "drill"
    ]
    if rows:
        terminalreporter.section("drills")
        terminalreporter.line(Row.head())
        for row in rows:
            terminalreporter.line(str(row), red=bool(row.lost or row.twice or row.wrong))
