"""What setup leaves to do is seen at the watcher, without either knowing the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventrouter.check import check
from eventrouter.cli import parser, read_config
from eventrouter.config import Config
from eventrouter.ops.finding import Finding
from eventrouter.ops.setup_report import SetupReport
from eventrouter.setup.report import Line, reported
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.setup_command import SetupCommand
from tests.integration.watcher import Watcher
from tests.support.events import todays_index
from tests.support.ports import free_port
from tests.support.searchserver import SearchServer
from tests.support.waiting import eventually

SERIES = 'eventrouter_setup_incomplete{index="%s",output="elasticsearch"} '


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    return tmp_path / "reports" / "elasticsearch.json"


@pytest.fixture
def watcher(server: ApiServer, receiver: Receiver, tmp_path: Path, file: Path) -> Iterator[Watcher]:
    with Watcher(server, receiver.url, tmp_path, setup_reports=(file,)) as started:
        eventually(lambda: started.get("/readyz")[0] == 200)
        yield started


def shown(watcher: Watcher, index: str = "kube-events-*") -> str:
    """The value of the metric."""
    (line,) = [
        line for line in watcher.get("/metrics")[1].splitlines() if line.startswith(SERIES % index)
    ]
    return line.rpartition(" ")[2]


def note(watcher: Watcher) -> str:
    """What /readyz says of it, and that it is ready."""
    status, text = watcher.get("/readyz")
    assert status == 200
    return text.removeprefix("ok\n")


def test_a_server_that_was_away_is_seen_until_setup_has_run(
    watcher: Watcher, setup: SetupCommand, file: Path
) -> None:
    """The whole way: the pod's start, a first event, the run that mends it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    assert setup("--elasticsearch", url, "--report", file).code == 1
    assert shown(watcher) == "1.0"
    assert note(watcher) == (
        "setup elasticsearch: the setup of kube-events-* did not complete:"
        f" {url} did not answer: Connection refused\n"
    )

    with SearchServer(port=port) as elasticsearch:
        elasticsearch.objects[f"/{todays_index()}"] = {"mappings": {}}
        assert setup("--elasticsearch", url, "--report", file).code == 1
        assert shown(watcher) == "1.0"
        assert "made without the template" in note(watcher)

        assert setup("--elasticsearch", url, "--report", file, "--replace-index").code == 0
    assert shown(watcher) == "0.0"
    assert note(watcher) == ""


def test_each_thing_that_is_left_to_do_is_told(
    watcher: Watcher, elasticsearch: SearchServer, setup: SetupCommand, file: Path
) -> None:
    elasticsearch.missing = {"manage_ilm", "manage_index_templates"}

    setup("--elasticsearch", elasticsearch.url, "--index-prefix", "shop", "--report", file)

    assert shown(watcher, "shop-*") == "1.0"
    assert "lacks the cluster privilege manage_ilm (403); index template shop: " in note(watcher)
    assert note(watcher).count("\n") == 1


def test_a_login_that_was_taken_away_after_the_first_run_is_no_alarm(
    watcher: Watcher,
    elasticsearch: SearchServer,
    setup: SetupCommand,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody knows, then; but one that is refused is a fault."""
    elasticsearch.authorization = "ApiKey a2V5"
    assert setup("--elasticsearch", elasticsearch.url, "--report", file).code == 1
    assert shown(watcher) == "NaN"
    assert note(watcher) == ""

    monkeypatch.setenv("EVENTROUTER_SETUP_API_KEY", "d3Jvbmc=")
    setup("--elasticsearch", elasticsearch.url, "--report", file)
    assert shown(watcher) == "1.0"


@pytest.mark.parametrize(
    ("report", "finding"),
    [
        (SetupReport("a-*", True), (True, "the setup of a-* is complete")),
        (SetupReport("a-*", False, ("b", "c")), (False, "the setup of a-* did not complete: b; c")),
        (
            SetupReport("a-*", None, ("no\nlogin",)),
            (None, "nobody knows whether the setup of a-* is complete: no login"),
        ),
    ],
)
def test_the_check_tells_of_the_last_run(
    kubeconfig: Path, file: Path, report: SetupReport, finding: tuple[bool | None, str]
) -> None:
    report.write(file)

    found = list(check(Config(kubeconfig=str(kubeconfig), setup_reports=(file,))))[-1]

    assert found == Finding("setup elasticsearch", *finding)


def test_a_run_that_left_no_report_is_one_that_failed(watcher: Watcher) -> None:
    assert shown(watcher, "unknown") == "1.0"
    assert "it left no report" in note(watcher)


@pytest.mark.parametrize("end", [RecursionError, KeyboardInterrupt, GeneratorExit])
def test_a_run_that_did_not_end_is_one_that_failed(file: Path, end: type[BaseException]) -> None:
    """Under the index's own name, so that another replica's run makes up for it."""

    def lines() -> Iterator[Line]:
        yield Line("created", "index template a", "for indices a-*", True)
        raise end

    with pytest.raises(end):
        list(reported(lines(), file, index="a-*", has_login=True))

    assert SetupReport.read(file) == SetupReport("a-*", False, ("it did not end",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"index": "a-*"}',
        b'{"index": 1, "is_complete": 7, "problems": {}}' + b" " * 2**17 + b"{",
    ],
)
def test_a_report_that_cannot_be_read_ends_no_scrape(
    watcher: Watcher, file: Path, content: bytes
) -> None:
    file.write_bytes(content)

    assert "eventrouter_setup_incomplete{" in watcher.get("/metrics")[1]
    assert watcher.get("/readyz")[0] == 200


def test_a_dry_run_leaves_the_report_as_it_is(
    elasticsearch: SearchServer, setup: SetupCommand, file: Path
) -> None:
    SetupReport("kube-events-*", False, ("a",)).write(file)

    setup("--elasticsearch", elasticsearch.url, "--report", file, "--dry-run")

    assert SetupReport.read(file) == SetupReport("kube-events-*", False, ("a",))


def test_kibana_makes_no_index_incomplete(
    elasticsearch: SearchServer, setup: SetupCommand, file: Path
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    outcome = setup(
        "--elasticsearch", elasticsearch.url, "--report", file, "--kibana", away
    )  # fmt: skip

    assert outcome.code == 1
    assert json.loads(file.read_text())["is_complete"] is True
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_report_that_cannot_be_written_is_said_and_ends_nothing(
    elasticsearch: SearchServer, setup: SetupCommand, file: Path
) -> None:
    file.mkdir()

    outcome = setup("--elasticsearch", elasticsearch.url, "--report", file)

    assert outcome.code == 0
    assert f"The report {file} cannot be written" in outcome.errors


def test_without_reports_there_is_no_such_metric(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    with Watcher(server, receiver.url, tmp_path) as watcher:
        assert "setup_incomplete" not in watcher.get("/metrics")[1]


def test_the_watcher_takes_the_files_with_commas() -> None:
    settings = read_config(parser().parse_args([]), {"EVENTROUTER_SETUP_REPORTS": "/a/b.json, /c"})

    assert settings.setup_reports == (Path("/a/b.json"), Path("/c"))
