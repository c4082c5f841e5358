"""`eventrouter setup` where it is refused, not trusted, or not answered."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from pathlib import Path

import pytest

from eventrouter.setup.mapping import Server
from tests.integration.setup_command import SetupCommand
from tests.programs.required import required
from tests.support.authority import Authority
from tests.support.clock import FastStop
from tests.support.fronts import TlsFront
from tests.support.ports import free_port
from tests.support.searchserver import SearchServer

PASSWORD = "pässword:with a colon"
BASIC = "Basic " + base64.b64encode(f"setup:{PASSWORD}".encode()).decode()


@pytest.fixture
def search(elasticsearch: SearchServer) -> SearchServer:
    """One of the two is enough here."""
    return elasticsearch


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--elasticsearch", "localhost:9200"], "--elasticsearch: 'localhost:9200' is not a URL"),
        (["--elasticsearch", "https://"], "--elasticsearch: 'https://' is not a URL"),
        (["--opensearch", "ftp://host"], "--opensearch: 'ftp://host' is not a URL"),
        (["--elasticsearch", "http://h:0"], "is not a URL"),
        (["--elasticsearch", "http://h:x"], "is not a URL"),
        (["--elasticsearch", "http://u:hidden@h"], "EVENTROUTER_SETUP_USER"),
        (["--elasticsearch", "http://h?x=1"], "a query"),
        (["URL", "--retention", "0"], "--retention: '0' is not a time"),
        (["URL", "--retention", "0d"], "--retention: '0d' is not a time"),
        (["URL", "--retention", "30"], "--retention: '30' is not a time"),
        (["URL", "--retention", "-1d"], "--retention"),
        (["URL", "--index-prefix", "Kube"], "--index-prefix: 'Kube' is not an index prefix"),
        (["URL", "--index-prefix", "kube*"], "--index-prefix: 'kube*' is not an index prefix"),
        (["URL", "--index-prefix", ""], "--index-prefix: '' is not an index prefix"),
        (["URL", "--index-prefix", "k" * 201], "is not an index prefix"),
        (["URL", "--shards", "0"], "--shards: '0' is not a whole number from 1"),
        (["URL", "--replicas", "many"], "--replicas: 'many' is not a whole number"),
        (["URL", "--wait", "-1"], "--wait"),
        (["URL", "--ca-file", "/nowhere"], "--ca-file: '/nowhere' is not a file"),
        (["URL", "--kibana", "kibana:5601"], "--kibana: 'kibana:5601' is not a URL"),
        (["URL", "--kibana", "http://u:hidden@h"], "EVENTROUTER_SETUP_USER"),
        (["URL", "--dashboards"], "--dashboards: missing: --kibana URL"),
        (["--kibana", "http://h", "--dashboards"], "--elasticsearch --opensearch is required"),
        (["URL", "--grafana", "http://h"], "unrecognized arguments: --grafana"),
        (["URL", "--password", "x"], "unrecognized arguments: --password"),
        (["URL", "--opensearch", "http://h"], "not allowed with argument --elasticsearch"),
        (["--retention", "30d"], "--elasticsearch --opensearch is required"),
    ],
)
def test_a_bad_setting_ends_it_with_one_line_before_anything_is_sent(
    search: SearchServer, setup: SetupCommand, arguments: list[str], said: str
) -> None:
    if arguments[0] == "URL":
        arguments = ["--elasticsearch", search.url, *arguments[1:]]

    outcome = setup(*arguments)

    assert outcome.code == 2
    assert said in outcome.errors
    assert "hidden" not in outcome.errors
    assert outcome.errors.count("\n") == 1
    assert not outcome.lines
    assert not search.requests


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"USER": "setup"}, "EVENTROUTER_SETUP_PASSWORD: missing"),
        ({"PASSWORD": "hidden"}, "EVENTROUTER_SETUP_USER: missing"),
        ({"USER": "u", "PASSWORD": "hidden", "API_KEY": "k"}, "EVENTROUTER_SETUP_API_KEY"),
        ({"USER": "u", "PASSWORD": "hidden\nX: y"}, "EVENTROUTER_SETUP_PASSWORD: holds a line"),
        ({"API_KEY": "hiddän"}, "EVENTROUTER_SETUP_API_KEY: is no API key"),
        ({"API_KEY_FILE": "/nowhere"}, "EVENTROUTER_SETUP_API_KEY_FILE: /nowhere cannot be read"),
        ({"API_KEY_FILE": "/nowhere", "API_KEY": "hidden"}, "not both"),
    ],
)
def test_half_a_login_is_a_bad_setting_and_never_shown(
    search: SearchServer,
    setup: SetupCommand,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    said: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"EVENTROUTER_SETUP_{name}", value)

    outcome = setup("--elasticsearch", search.url)

    assert outcome.code == 2
    assert said in outcome.errors
    assert "hidd" not in outcome.errors
    assert not search.requests


@pytest.mark.parametrize("by_file", [False, True], ids=["variable", "file"])
@pytest.mark.parametrize(
    ("login", "header"),
    [({"USER": "setup", "PASSWORD": PASSWORD}, BASIC), ({"API_KEY": "a2V5"}, "ApiKey a2V5")],
    ids=["user", "key"],
)
def test_it_logs_in_by_variables_or_by_files(
    search: SearchServer,
    setup: SetupCommand,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    login: dict[str, str],
    header: str,
    by_file: bool,
) -> None:
    search.authorization = header
    for name, value in login.items():
        if by_file:
            (tmp_path / name).write_text(f"{value}\n", encoding="utf-8")
            monkeypatch.setenv(f"EVENTROUTER_SETUP_{name}_FILE", str(tmp_path / name))
        else:
            monkeypatch.setenv(f"EVENTROUTER_SETUP_{name}", value)

    assert setup("--elasticsearch", search.url).code == 0
    assert set(search.given) == {header}


def test_a_refused_login_ends_it_and_is_not_shown(
    search: SearchServer, setup: SetupCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.authorization = BASIC
    without = setup("--elasticsearch", search.url)
    monkeypatch.setenv("EVENTROUTER_SETUP_USER", "setup")
    monkeypatch.setenv("EVENTROUTER_SETUP_PASSWORD", "hidden")
    wrong = setup("--elasticsearch", search.url, "--wait", 30)

    assert (without.code, wrong.code) == (1, 1)
    assert "wants a login, and none was given (401)" in without.errors
    assert "refuses the login (401): check EVENTROUTER_SETUP_USER" in wrong.errors
    assert "hidden" not in wrong.errors
    assert len(search.requests) == 2


@pytest.mark.parametrize(
    ("server", "missing", "said"),
    [
        (Server.ELASTICSEARCH, "manage_ilm", "the cluster privilege manage_ilm"),
        (Server.ELASTICSEARCH, "manage_index_templates", "privilege manage_index_templates"),
        (Server.ELASTICSEARCH, "view", "view_index_metadata on kube-events-*"),
        (Server.OPENSEARCH, "policies", "cluster:admin/opendistro/ism/policy/write"),
        (Server.OPENSEARCH, "manage_index_templates", "indices:admin/index_template/put"),
    ],
)
def test_a_missing_privilege_is_named_and_the_rest_is_done(
    setup: SetupCommand, server: Server, missing: str, said: str
) -> None:
    with SearchServer(server) as search:
        search.missing.add(missing)
        outcome = setup(f"--{server.value.lower()}", search.url)

    assert outcome.code == 1
    assert [line for line in outcome.lines if line.startswith("FAILED") and said in line]
    assert outcome.words.count("FAILED") == 1
    assert "created" in outcome.words


@pytest.mark.parametrize("server", Server)
def test_the_wrong_one_of_the_two_servers_is_named(setup: SetupCommand, server: Server) -> None:
    option = "--opensearch" if server is Server.ELASTICSEARCH else "--elasticsearch"
    with SearchServer(server) as search:
        outcome = setup(option, search.url)

    assert outcome.code == 1
    assert "--elasticsearch and --opensearch choose" in outcome.lines[0]


@pytest.mark.parametrize("status", [200, 404, 302])
def test_another_kind_of_server_is_named(
    search: SearchServer, setup: SetupCommand, status: int
) -> None:
    search.answer_next = [(status, b"<html>")]

    outcome = setup("--elasticsearch", search.url)

    assert outcome.code == 1
    assert "is neither Elasticsearch nor OpenSearch" in outcome.errors


def test_an_answer_of_another_form_is_named(search: SearchServer, setup: SetupCommand) -> None:
    search.answer_next = [(200, b'{"kube-events": []}'), (200, b'{"index_templates": []}')]

    outcome = setup("--elasticsearch", search.url)

    assert outcome.code == 1
    assert all("an answer of another form" in line for line in outcome.lines)
    assert not search.writes()


def test_a_certificate_is_checked_against_the_given_ca(
    search: SearchServer, setup: SetupCommand, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", openssl=required("openssl"))
    with TlsFront(search.port, authority.server("IP:127.0.0.1")) as front:
        unknown = setup("--elasticsearch", front.url, "--wait", 30)
        wrong = setup("--elasticsearch", front.url, "--ca-file", other.file, "--wait", 30)
        assert not search.requests
        right = setup("--elasticsearch", front.url, "--ca-file", authority.file)

    assert (unknown.code, wrong.code, right.code) == (1, 1, 0)
    for outcome in (unknown, wrong):
        assert "certificate is not trusted" in outcome.errors
        assert "--ca-file" in outcome.errors


def test_a_certificate_for_another_name_is_refused(
    search: SearchServer, setup: SetupCommand, authority: Authority
) -> None:
    with TlsFront(search.port, authority.server("DNS:elsewhere")) as front:
        outcome = setup("--elasticsearch", front.url, "--ca-file", authority.file)

    assert outcome.code == 1
    assert "certificate is not trusted" in outcome.errors


def test_a_file_that_holds_no_ca_is_named(setup: SetupCommand, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate\n")

    outcome = setup("--elasticsearch", "https://127.0.0.1:1", "--ca-file", tmp_path / "ca.crt")

    assert outcome.code == 2
    assert "--ca-file" in outcome.errors


def test_tls_to_a_plain_server_is_named(search: SearchServer, setup: SetupCommand) -> None:
    outcome = setup("--elasticsearch", f"https://127.0.0.1:{search.port}")

    assert outcome.code == 1
    assert "is it plain HTTP?" in outcome.errors


class _StartingStop(FastStop):
    """The server comes at the first wait."""

    def __init__(self, stack: ExitStack, port: int) -> None:
        super().__init__()
        self._stack = stack
        self._port = port

    def wait(self, timeout: float | None = None) -> bool:
        if not self.waits:
            self._stack.enter_context(SearchServer(port=self._port))
        return super().wait(timeout)


def test_a_server_that_is_away_and_comes_back_in_time_is_set_up(setup: SetupCommand) -> None:
    port = free_port()
    with ExitStack() as stack:
        outcome = setup(
            *("--elasticsearch", f"http://127.0.0.1:{port}", "--wait", 30),
            stop=_StartingStop(stack, port),
        )

    assert outcome.code == 0
    assert outcome.words == ["created", "created"]
    assert "Waiting for" in outcome.errors


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_without_time_is_asked_again(
    search: SearchServer, setup: SetupCommand, status: int
) -> None:
    search.answer_next = [(status, b"{}")] * 2

    assert setup("--elasticsearch", search.url, "--wait", 30).code == 0


def test_a_server_that_stays_away_is_given_up_after_the_wait(setup: SetupCommand) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    once = setup("--elasticsearch", url)
    waited = setup("--elasticsearch", url, "--wait", 1)

    assert (once.code, waited.code) == (1, 1)
    assert f"{url} did not answer: Connection refused" in once.errors
    assert f"{url} did not answer for 1 s: Connection refused" in waited.errors


def test_a_stop_ends_the_waiting(setup: SetupCommand) -> None:
    stop = FastStop()
    stop.set()

    outcome = setup("--elasticsearch", f"http://127.0.0.1:{free_port()}", "--wait", 60, stop=stop)

    assert outcome.code == 1
    assert not stop.waits
