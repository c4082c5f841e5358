"""The drills' fixtures and table: tests that would catch a false "nothing lost, nothing twice".

Each drill puts a steady load of creations and updates on real programs, with a ledger of every
state that the API server accepted, does its damage, and holds Elasticsearch against the ledger,
document by document. DRILLS=long runs them at their full figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.drill import Drill, Row
from tests.e2e.conftest import (  # noqa: F401
    GetPart,
    apiserver,
    elasticsearch,
    etcd,
    part,
    session_elasticsearch,
)
from tests.e2e.parts import ApiServer, Elasticsearch, Etcd

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def drill(
    request: pytest.FixtureRequest,
    part: GetPart,  # noqa: F811
    tmp_path: Path,
    etcd: Etcd,  # noqa: F811
    apiserver: ApiServer,  # noqa: F811
    elasticsearch: Elasticsearch,  # noqa: F811
) -> Iterator[Drill]:
    """A drill on fresh programs. Its row is in the table whether it failed or not."""
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
        request.config.stash.setdefault(_ROWS, []).append(drill.row)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The table."""
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("drills")
        terminalreporter.line(Row.head())
        for row in rows:
            terminalreporter.line(str(row), red=bool(row.lost or row.twice or row.wrong))
