"""The end-to-end tests' fixtures: real programs, or a skip that says what is missing.

Nothing is built here: `python -m tests.programs` does that, and `make e2e` calls it first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.e2e.ledger import Ledger
from tests.e2e.load import NAMESPACES, Load
from tests.e2e.pipeline import INDICES, Pipeline
from tests.e2e.prepared import setup_of
from tests.programs import ApiServer, Elasticsearch, Etcd, FluentBit, OpenSearch, Part, Watcher
from tests.programs.catalog import ESSENTIAL, find
from tests.programs.jars import jdk

_MISSING = "MISSING:"
CONFIG = Path(__file__).parents[2] / "fluent" / "fluent-bit.yaml"
# By name, what the summary says of the programs that tests asked for.
_asked_for: dict[str, str] = {}

GetPart = Callable[[str], Path]
_Search = TypeVar("_Search", bound=Elasticsearch)


@pytest.fixture(scope="session")
def part() -> GetPart:
    """Where a program is. If an essential one is missing, every test is skipped before anything is
    started. The summary repeats what is missing.
    """
    parts = [_found(name) for name in ESSENTIAL]
    missing = [f"{found.name}: {found.remedy}" for found in parts if not found.path]
    if missing:
        pytest.skip(f"REAL PARTS MISSING: {'; '.join(missing)}")

    def get(name: str) -> Path:
        found = _found(name)
        if found.path is None:  # one that only some tests need
            pytest.skip(f"REAL PART MISSING: {found.name}: {found.remedy}")
        return found.path

    return get


@pytest.fixture(scope="session")
def session_elasticsearch(
    part: GetPart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Elasticsearch]:
    with search_server(
        Elasticsearch, tmp_path_factory.mktemp("elasticsearch"), part=part
    ) as server:
        yield server


@pytest.fixture(scope="session")
def session_opensearch(
    part: GetPart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenSearch]:
    with search_server(OpenSearch, tmp_path_factory.mktemp("opensearch"), part=part) as server:
        yield server


def search_server(program: type[_Search], directory: Path, *, part: GetPart) -> _Search:
    """One that has not been started."""
    home, java = part(program.name), jdk()
    assert java is not None
    return program(directory, home=home, jdk=java)


@pytest.fixture
def elasticsearch(session_elasticsearch: Elasticsearch) -> Elasticsearch:
    """Elasticsearch without a document, set up: the node is shared, its indices are not."""
    session_elasticsearch.delete(INDICES)
    with setup_of(session_elasticsearch) as setup:
        code, lines = setup.run("--force")
    assert code == 0, lines
    return session_elasticsearch


@pytest.fixture
def etcd(part: GetPart, tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path / "etcd", binary=part("etcd")) as server:
        yield server


@contextmanager
def running_cluster(directory: Path, *, part: GetPart, etcd: Etcd) -> Iterator[ApiServer]:
    """An API server with the namespaces that the load writes to."""
    with ApiServer(
        directory, binary=part("kube-apiserver"), etcd=etcd, openssl=part("openssl")
    ) as server:
        for namespace in NAMESPACES:
            server.create_namespace(namespace)
        yield server


@pytest.fixture
def apiserver(part: GetPart, tmp_path: Path, etcd: Etcd) -> Iterator[ApiServer]:
    """A cluster of its own for each test: the history of events is what the tests are about."""
    with running_cluster(tmp_path / "apiserver", part=part, etcd=etcd) as server:
        yield server


@pytest.fixture
def fluent_bit(part: GetPart, tmp_path: Path, elasticsearch: Elasticsearch) -> Iterator[FluentBit]:
    with delivering_to(elasticsearch, tmp_path / "fluent-bit", part=part) as sidecar:
        yield sidecar


def delivering_to(elasticsearch: Elasticsearch, directory: Path, *, part: GetPart) -> FluentBit:
    """The project's own Fluent Bit configuration, for this Elasticsearch; not started."""
    return FluentBit(
        directory,
        binary=part("fluent-bit"),
        config=CONFIG,
        variables={"ES_HOST": "127.0.0.1", "ES_PORT": str(elasticsearch.port), "ES_TLS": "off"},
    )


@pytest.fixture
def pipeline(
    tmp_path: Path,
    etcd: Etcd,
    apiserver: ApiServer,
    fluent_bit: FluentBit,
    elasticsearch: Elasticsearch,
) -> Iterator[Pipeline]:
    """All of it, with a watcher that has not been started and may only read events."""
    watcher = Watcher(
        tmp_path / "watcher",
        kubeconfig=apiserver.kubeconfig_for("eventrouter"),
        forward=fluent_bit.forward_url,
        buffer_path=fluent_bit.buffer_path,
    )
    seed = random.randrange(2**32)
    print(f"the load's seed is {seed}")
    ledger = Ledger()
    yield Pipeline(
        etcd=etcd,
        apiserver=apiserver,
        fluent_bit=fluent_bit,
        elasticsearch=elasticsearch,
        watcher=watcher,
        ledger=ledger,
        load=Load(apiserver.client, ledger, seed=seed),
        random=random.Random(seed),
    )
    watcher.kill()


def _found(name: str) -> Part:
    found = find(name)
    _asked_for[name] = found.version if found.is_there else f"{_MISSING} {found.remedy}"
    return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist tells the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["parts"] = _asked_for


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """That process listens. A worker that was killed has said nothing."""
    _asked_for.update(getattr(node, "workeroutput", {}).get("parts", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which real programs the run had, so that a green run cannot hide that it ran nothing."""
    if not _asked_for:
        return
    terminalreporter.section("real parts")
    for name, text in sorted(_asked_for.items()):
        is_missing = text.startswith(_MISSING)
        terminalreporter.line(f"{name:<15} {text}", red=is_missing, bold=is_missing)
