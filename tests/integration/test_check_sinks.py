"""`eventrouter check`: what it says of Elasticsearch and OpenSearch, without writing anything."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from eventrouter import check as check_module
from eventrouter.cli import main
from eventrouter.setup.command import main as setup_main
from eventrouter.setup.mapping import Server
from eventrouter.setup.mark import VERSION
from tests.support.authority import Authority
from tests.support.clock import FastStop
from tests.support.events import todays_index
from tests.support.fronts import TlsFront
from tests.support.httpserver import Exchange, HttpServer
from tests.support.ports import free_port
from tests.support.searchserver import SearchServer

TEMPLATE = "/_index_template/kube-events"
WRITER = {"create_doc", "auto_configure"}


class Outcome(NamedTuple):
    """What the check said of the servers."""

    code: int
    lines: list[str]
    errors: str

    @property
    def words(self) -> list[str]:
        return [line.split()[0] for line in self.lines]


class Check:
    """Runs the command, in this process, where all other links are good."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        try:
            code = main(["check", *map(str, arguments)])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        said = self._capsys.readouterr()
        return Outcome(code, said.out.splitlines(), said.err)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setattr(check_module, "check", lambda settings: iter(()))
    return Check(capsys)


@pytest.fixture
def elasticsearch() -> Iterator[SearchServer]:
    with SearchServer() as server:
        server.index_privileges = set(WRITER)
        yield server


def at(search: SearchServer) -> tuple[str, str]:
    return f"--{search.server.value.lower()}", search.url


def prepare(search: SearchServer, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    """Set it up, and forget the requests."""
    assert setup_main([*at(search), *options], FastStop()) == 0
    capsys.readouterr()
    search.forget()


def test_a_server_without_security_that_is_set_up_is_good_and_nothing_is_written(
    search: SearchServer, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(search, capsys)

    outcome = check(*at(search))

    name = search.server.value.lower()
    assert outcome.code == 0
    assert outcome.lines == [
        f"ok    {name}: answers at {search.url}, and has no security: anybody may write",
        f"ok    {name}, index template kube-events: eventrouter made it, version {VERSION}",
        f"ok    {name}, index {todays_index()}: is not there yet;"
        " the first event of today makes it",
    ]
    assert {method for method, _ in search.requests} <= {"GET", "POST"}
    assert {path for method, path in search.requests if method == "POST"} <= {
        "/_security/user/_has_privileges"
    }


@pytest.mark.parametrize("creates", ["auto_configure", "create_index"])
def test_a_login_that_may_create_documents_is_named(
    elasticsearch: SearchServer, check: Check, creates: str
) -> None:
    elasticsearch.index_privileges = {"create_doc", creates}

    outcome = check(*at(elasticsearch))

    assert outcome.lines[0] == (
        f"ok    elasticsearch: answers at {elasticsearch.url};"
        " the login writer may create documents"
    )


@pytest.mark.parametrize(
    ("privileges", "missing"),
    [
        (set(), "create_doc and auto_configure on kube-events-*"),
        ({"create_doc"}, "lacks auto_configure on kube-events-*"),
        ({"auto_configure"}, "lacks create_doc on kube-events-*"),
    ],
)
def test_a_missing_right_of_the_writer_is_named(
    elasticsearch: SearchServer, check: Check, privileges: set[str], missing: str
) -> None:
    elasticsearch.index_privileges = privileges

    outcome = check(*at(elasticsearch))

    assert outcome.code == 1
    assert outcome.lines[0].startswith("FAIL  elasticsearch: ")
    assert missing in outcome.lines[0]


def test_opensearch_is_asked_for_the_login_s_roles(check: Check) -> None:
    """It has no question about rights: so the answer is neither good nor bad."""
    with SearchServer(Server.OPENSEARCH) as search:
        search.index_privileges = set()
        outcome = check(*at(search))

    assert outcome.lines[0].startswith("?     opensearch: answers at ")
    assert "the login writer has the roles kube-events-writer" in outcome.lines[0]


def test_what_a_writer_s_login_may_not_see_is_no_fault(
    elasticsearch: SearchServer, check: Check
) -> None:
    """Its role holds what writing needs, and no more."""
    elasticsearch.missing = {"manage_index_templates", "view"}

    outcome = check(*at(elasticsearch))

    assert (outcome.code, outcome.words) == (0, ["ok", "?", "?"])
    assert "lacks the cluster privilege manage_index_templates (403)" in outcome.lines[1]
    assert "lacks view_index_metadata on kube-events-*" in outcome.lines[2]


def test_a_server_behind_something_that_refuses_all_is_a_fault(check: Check) -> None:
    """Fluent Bit's requests are refused as well. No right of a login would mend that."""
    with Wall() as wall:
        outcome = check("--elasticsearch", wall.url)

    assert outcome.code == 1
    assert outcome.lines[0].startswith("FAIL  elasticsearch: ")
    assert "403, without JSON: something in front of" in outcome.lines[0]


class Wall(HttpServer):
    """As a proxy whose rules let nobody in."""

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, exchange: Exchange) -> None:
        exchange.reply(403, b"<html>Forbidden</html>", content_type="text/html")


def test_a_template_that_is_not_there_is_a_fault(search: SearchServer, check: Check) -> None:
    outcome = check(*at(search))

    option = " ".join(at(search))
    assert outcome.code == 1
    assert f"is not there; run `eventrouter setup {option} --index-prefix" in outcome.lines[1]


@pytest.mark.parametrize("how", ["foreign", "changed", "older", "newer"])
def test_a_template_that_is_not_ours_or_not_current_is_named(
    search: SearchServer,
    check: Check,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            "eventrouter.setup.objects.VERSION", {"older": 0, "newer": 99}.get(how, VERSION)
        )
        prepare(search, capsys)
    if how == "foreign":
        search.objects[TEMPLATE] = {"index_patterns": ["kube-events-*"], "template": {}}
    elif how == "changed":
        search.objects[TEMPLATE]["template"]["settings"]["index"]["refresh_interval"] = "30s"
    said = {
        "foreign": "somebody else made it",
        "changed": "somebody changed it after eventrouter made it",
        "older": f"is of version 0, not {VERSION}",
        "newer": "a newer eventrouter made it",
    }

    outcome = check(*at(search))

    assert said[how] in outcome.lines[1]
    assert outcome.lines[1].endswith(" --force`") == (how in ("foreign", "changed"))
    assert outcome.words[1] == ("ok" if how == "newer" else "FAIL")
    assert outcome.code == (0 if how == "newer" else 1)


def test_other_parameters_of_the_setup_are_no_fault(
    search: SearchServer, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check does not know which were wanted."""
    prepare(search, capsys, "--shards", "3", "--replicas", "0", "--retention", "90d")

    assert check(*at(search)).code == 0


@pytest.mark.parametrize("is_made", [True, False])
def test_whether_today_s_index_has_the_template_is_told(
    search: SearchServer, check: Check, capsys: pytest.CaptureFixture[str], is_made: bool
) -> None:
    prepare(search, capsys)
    search.objects[f"/{todays_index()}"] = {"mappings": {"dynamic": "false"} if is_made else {}}

    outcome = check(*at(search))

    assert outcome.code == (0 if is_made else 1)
    assert ("made by the template" in outcome.lines[2]) is is_made
    assert outcome.lines[2].endswith(" --replace-index`") is not is_made


def test_a_server_that_does_not_answer_is_one_line(check: Check) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    outcome = check("--elasticsearch", url)

    assert outcome.code == 1
    assert outcome.lines == [f"FAIL  elasticsearch: {url} did not answer: Connection refused"]


def test_a_wrong_login_is_one_line_and_never_shown(
    elasticsearch: SearchServer, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    elasticsearch.authorization = "Basic " + base64.b64encode(b"writer:right").decode()
    monkeypatch.setenv("EVENTROUTER_CHECK_USER", "writer")
    monkeypatch.setenv("EVENTROUTER_CHECK_PASSWORD", "hidden")

    outcome = check(*at(elasticsearch))

    assert (outcome.code, len(outcome.lines)) == (1, 1)
    assert "refuses the login (401): check EVENTROUTER_CHECK_USER" in outcome.lines[0]
    assert "hidden" not in outcome.lines[0] + outcome.errors


def test_a_certificate_is_checked_against_the_given_ca(
    elasticsearch: SearchServer, check: Check, authority: Authority
) -> None:
    with TlsFront(elasticsearch.port, authority.server("IP:127.0.0.1")) as front:
        unknown = check("--elasticsearch", front.url)
        right = check("--elasticsearch", front.url, "--ca-file", authority.file)

    assert "certificate is not trusted" in unknown.lines[0]
    assert right.words[0] == "ok"


def test_each_output_has_variables_of_its_own(
    elasticsearch: SearchServer, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the chart sets them: an address, an index prefix, a login."""
    with SearchServer(Server.OPENSEARCH) as other:
        elasticsearch.authorization = "ApiKey a2V5"
        for name, value in {
            "LOGS_EAST__ELASTICSEARCH": elasticsearch.url,
            "LOGS_EAST__API_KEY": "a2V5",
            "LOGS_EAST__INDEX_PREFIX": "east",
            "WEST__OPENSEARCH": f"{other.url}, {other.url}/",
            "EMPTY__ELASTICSEARCH": "",
        }.items():
            monkeypatch.setenv(f"EVENTROUTER_CHECK_{name}", value)
        outcome = check()

    links = [line[6:].partition(":")[0] for line in outcome.lines]
    assert links[:3] == [
        "logs-east",
        "logs-east, index template east",
        f"logs-east, index {todays_index('east')}",
    ]
    assert [link for link in links if "," not in link] == ["logs-east", "west", "west"]
    assert ("GET", "/_index_template/east") in elasticsearch.requests
    assert set(elasticsearch.given) == {"ApiKey a2V5"}
    assert set(other.given) == {None}


def test_an_option_overrides_its_variable(
    elasticsearch: SearchServer, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTROUTER_CHECK_ELASTICSEARCH", "http://127.0.0.1:1")
    monkeypatch.setenv("EVENTROUTER_CHECK_INDEX_PREFIX", "a")

    outcome = check(*at(elasticsearch), "--index-prefix", "b")

    assert "index template b" in outcome.lines[1]


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--elasticsearch", "host:9200"], {}, "--elasticsearch: 'host:9200' is not a URL"),
        (["--elasticsearch", ""], {}, "--elasticsearch: '' is not a URL"),
        (["--elasticsearch", "http://u:hidden@h"], {}, "EVENTROUTER_CHECK_USER"),
        (["--elasticsearch", "http://h", "--index-prefix", "K*"], {}, "--index-prefix: 'K*' is"),
        (["--elasticsearch", "http://h", "--ca-file", "/nowhere"], {}, "--ca-file: '/nowhere'"),
        (["--password", "hidden"], {}, "unrecognized arguments: --password"),
        ([], {"A__OPENSEARCH": "ftp://h"}, "EVENTROUTER_CHECK_A__OPENSEARCH: 'ftp://h' is not"),
        (
            [], {"A__OPENSEARCH": "http://h", "A__USER": "u"},
            "EVENTROUTER_CHECK_A__PASSWORD: missing",
        ),
    ],
)  # fmt: skip
def test_a_bad_setting_ends_it_with_one_line(
    check: Check,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variables: dict[str, str],
    said: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"EVENTROUTER_CHECK_{name}", value)

    outcome = check(*arguments)

    assert outcome.code == 2
    assert said in outcome.errors
    assert "hidden" not in outcome.errors.replace("--password hidden", "")
    assert outcome.errors.count("\n") == 1
    assert not outcome.lines


def test_the_watcher_itself_takes_no_such_option(capsys: pytest.CaptureFixture[str]) -> None:
    """It never talks to a sink."""
    with pytest.raises(SystemExit):
        main(["run", "--elasticsearch", "http://h"])

    assert "unrecognized arguments: --elasticsearch" in capsys.readouterr().err


def test_security_that_is_off_is_none(elasticsearch: SearchServer, check: Check) -> None:
    said = "Security must be explicitly enabled when using a [basic] license"
    elasticsearch.answer_next = [(500, f'{{"error": {{"reason": "{said}"}}}}'.encode())]

    assert "has no security" in check(*at(elasticsearch)).lines[0]


def test_the_login_may_come_from_a_file(
    elasticsearch: SearchServer, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elasticsearch.authorization = "ApiKey a2V5"
    (tmp_path / "key").write_text("a2V5\n")
    monkeypatch.setenv("EVENTROUTER_CHECK_API_KEY_FILE", str(tmp_path / "key"))

    assert check(*at(elasticsearch)).words[0] == "ok"
