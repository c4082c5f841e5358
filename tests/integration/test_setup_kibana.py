"""`eventrouter setup --kibana URL --dashboards`: what it writes, leaves and says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from eventrouter.setup.dashboards.saved_objects import saved_objects
from tests.integration.setup_command import Outcome, SetupCommand
from tests.support.kibanaserver import KibanaServer, Product
from tests.support.ports import free_port
from tests.support.searchserver import SearchServer

ALL = saved_objects("kube-events")
DASHBOARDS = [each for each in ALL if each.type == "dashboard"]
OVERVIEW, DATA_VIEW = ("dashboard", "kube-events-overview"), ("index-pattern", "kube-events")


@pytest.fixture(params=Product, ids=lambda product: product.name)
def kibana(request: pytest.FixtureRequest) -> Iterator[KibanaServer]:
    with KibanaServer(request.param) as server:
        yield server


class Setup:
    """Runs the command, and gives what it says of Kibana."""

    def __init__(self, command: SetupCommand, search: SearchServer) -> None:
        self._command = command
        self.search = search

    def __call__(self, *arguments: str) -> Outcome:
        outcome = self._command("--elasticsearch", self.search.url, *arguments)
        return outcome._replace(lines=outcome.lines[2:])


@pytest.fixture
def setup(capsys: pytest.CaptureFixture[str]) -> Iterator[Setup]:
    with SearchServer() as search:
        yield Setup(SetupCommand(capsys), search)


def edit(kibana: KibanaServer, key: tuple[str, str], **attributes: Any) -> None:
    """Change an object as a user does."""
    kibana.objects[key]["attributes"] |= attributes


def test_it_writes_the_data_view_and_all_dashboards_in_one_import(
    kibana: KibanaServer, setup: Setup
) -> None:
    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert outcome.code == 0
    assert outcome.words == ["created"] * (1 + len(DASHBOARDS))
    assert outcome.lines[0] == "created    index-pattern kube-events-*: for kube-events-*"
    assert "dashboard Kubernetes events: overview: 10 of 10 objects" in outcome.lines[1]
    assert kibana.imports == [[each.key for each in ALL]]
    assert kibana.titles("dashboard") == {each.attributes["title"] for each in DASHBOARDS}
    # Looked for, written, and read back.
    calls = [path.partition("?")[0].rpartition("/")[2] for path in kibana.requests]
    assert calls == ["_export", "_import", "_export"]


def test_without_dashboards_it_writes_only_the_data_view(
    kibana: KibanaServer, setup: Setup
) -> None:
    outcome = setup("--kibana", kibana.url)

    assert (outcome.code, outcome.words) == (0, ["created"])
    assert kibana.objects.keys() == {DATA_VIEW}
    # Then the rest is added to it.
    assert setup("--kibana", kibana.url, "--dashboards").words[:2] == ["unchanged", "created"]


def test_a_second_run_has_nothing_to_do(kibana: KibanaServer, setup: Setup) -> None:
    """Although the server has stored the objects in another form."""
    setup("--kibana", kibana.url, "--dashboards")
    kibana.forget()

    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert (outcome.code, set(outcome.words)) == (0, {"unchanged"})
    assert not kibana.imports


def test_what_a_user_changed_is_left_and_named_until_it_is_forced(
    kibana: KibanaServer, setup: Setup
) -> None:
    setup("--kibana", kibana.url, "--dashboards")
    panels = json.loads(kibana.objects[OVERVIEW]["attributes"]["panelsJSON"])
    edit(kibana, OVERVIEW, panelsJSON=json.dumps(panels[:-1]))
    kibana.forget()

    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert outcome.code == 1
    assert outcome.words[:3] == ["unchanged", "unchanged", "left"]
    assert "9 of 10 objects" in outcome.lines[1]
    assert "dashboard Kubernetes events: overview: somebody changed it" in outcome.lines[2]
    assert "--force" in outcome.lines[2]
    assert not kibana.imports

    forced = setup("--kibana", kibana.url, "--dashboards", "--force")
    assert (forced.code, forced.words[:3]) == (0, ["unchanged", "unchanged", "replaced"])
    assert kibana.imports == [[OVERVIEW]]


def test_what_somebody_else_made_under_the_same_id_is_left(
    kibana: KibanaServer, setup: Setup
) -> None:
    kibana.objects[OVERVIEW] = {
        "type": "dashboard", "id": OVERVIEW[1], "references": [],
        "attributes": {"title": "Mine", "panelsJSON": "[]", "kibanaSavedObjectMeta": {}},
    }  # fmt: skip
    kibana.objects[DATA_VIEW] = {
        "type": "index-pattern", "id": DATA_VIEW[1], "references": [],
        "attributes": {"title": "kube-*"},
    }  # fmt: skip

    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert outcome.code == 1
    assert [line for line in outcome.lines if line.startswith("left")] == [
        "left       index-pattern kube-events-*: somebody else made it; --force replaces it",
        "left       dashboard Kubernetes events: overview: somebody else made it; --force replaces"
        " it",
    ]
    assert kibana.objects[OVERVIEW]["attributes"]["title"] == "Mine"
    assert outcome.words.count("created") == len(DASHBOARDS)  # its panels, and the other ones


def test_an_object_in_a_form_that_it_cannot_read_is_somebody_else_s(
    kibana: KibanaServer, setup: Setup
) -> None:
    setup("--kibana", kibana.url, "--dashboards")
    edit(kibana, OVERVIEW, panelsJSON="not JSON")

    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert outcome.code == 1
    assert "somebody else made it" in outcome.lines[2]


def test_an_older_version_is_brought_up_to_date_and_a_newer_one_kept(
    kibana: KibanaServer, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = "eventrouter.setup.dashboards.saved_objects.DASHBOARDS_VERSION"
    monkeypatch.setattr(version, 0)
    setup("--kibana", kibana.url, "--dashboards")
    monkeypatch.undo()

    updated = setup("--kibana", kibana.url, "--dashboards")
    assert (updated.code, updated.words) == (0, ["unchanged", *["updated"] * len(DASHBOARDS)])

    monkeypatch.setattr(version, 0)
    kibana.forget()
    kept = setup("--kibana", kibana.url, "--dashboards", "--force")
    assert (kept.code, set(kept.words)) == (0, {"unchanged"})
    assert not kibana.imports


def test_a_dry_run_only_reads(kibana: KibanaServer, setup: Setup) -> None:
    outcome = setup("--kibana", kibana.url, "--dashboards", "--dry-run")

    assert outcome.code == 0
    assert all(line.startswith("would be created") for line in outcome.lines)
    assert not kibana.imports


def test_print_gives_the_objects_and_sends_nothing(
    kibana: KibanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = SetupCommand(capsys)(
        "--elasticsearch", "http://localhost:9200", "--kibana", kibana.url, "--dashboards",
        "--print",
    )  # fmt: skip

    printed = json.loads("\n".join(outcome.lines))
    assert printed["/api/saved_objects/_import?overwrite=true"] == [each.body() for each in ALL]
    assert not kibana.requests


def test_the_prefix_is_in_the_pattern_and_in_every_id(kibana: KibanaServer, setup: Setup) -> None:
    setup("--kibana", kibana.url, "--dashboards", "--index-prefix", "shop")

    assert kibana.titles("index-pattern") == {"shop-*"}
    assert all(key[1] == "shop" or key[1].startswith("shop-") for key in kibana.objects)


def test_a_space_is_part_of_the_url(setup: Setup) -> None:
    with KibanaServer(space="ops") as kibana:
        assert setup("--kibana", kibana.url, "--dashboards").code == 0
        assert all(path.startswith("/s/ops/api/") for path in kibana.requests)


def test_a_write_that_does_not_hold_is_named(kibana: KibanaServer, setup: Setup) -> None:
    kibana.keeps_writes = False

    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert outcome.code == 1
    assert len(outcome.lines) == len(ALL)
    assert all("reads back different" in line for line in outcome.lines)


def test_it_uses_the_login_of_the_setup(
    kibana: KibanaServer, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    kibana.authorization = "Basic " + base64.b64encode(b"setup:secret").decode()

    refused = setup("--kibana", kibana.url)
    assert refused.code == 1
    assert "wants a login, and none was given (401)" in refused.errors

    monkeypatch.setenv("EVENTROUTER_SETUP_USER", "setup")
    monkeypatch.setenv("EVENTROUTER_SETUP_PASSWORD", "secret")
    assert setup("--kibana", kibana.url).code == 0


def test_a_missing_privilege_is_named(kibana: KibanaServer, setup: Setup) -> None:
    kibana.is_forbidden = True

    outcome = setup("--kibana", kibana.url, "--dashboards")

    assert (outcome.code, outcome.words) == (1, ["FAILED"])
    assert "lacks the privilege All on Saved Objects Management in this space" in outcome.lines[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((302, b""), "is neither Kibana nor OpenSearch Dashboards, or has another login"),
        ((200, b"<html>"), "is no NDJSON: is this Kibana?"),
        ((200, b'["a list"]'), "is no NDJSON: is this Kibana?"),
        ((405, b'{"error": "Incorrect HTTP method"}'), "answers 405: Incorrect HTTP method"),
        ((500, b'{"message": "no shard is available"}'), "answers 500: no shard is available"),
    ],
)
def test_another_answer_is_an_error_in_one_line(
    setup: Setup, answer: tuple[int, bytes], said: str
) -> None:
    with KibanaServer() as kibana:
        kibana.answer_next = [answer]

        outcome = setup("--kibana", kibana.url, "--dashboards")

    assert outcome.code == 1
    assert said in outcome.errors + "".join(outcome.lines)
    assert outcome.errors.count("\n") + len(outcome.lines) == 1


def test_a_refused_import_names_the_objects(setup: Setup) -> None:
    with KibanaServer() as kibana:
        setup("--kibana", kibana.url, "--dashboards")
        refused = {"success": False, "errors": [{"type": "search", "id": "x", "error": {"a": 1}}]}
        kibana.objects.clear()
        missing = [{"type": each.type, "id": each.id} for each in ALL]
        kibana.answer_next = [
            (400, json.dumps({"attributes": {"objects": missing}}).encode()),
            (200, json.dumps(refused).encode()),
        ]

        outcome = setup("--kibana", kibana.url, "--dashboards")

    assert (outcome.code, outcome.words) == (1, ["FAILED"])
    assert 'the import failed: search x: {"a": 1}' in outcome.lines[0]


def test_a_kibana_that_is_away_is_named_after_the_index_was_set_up(setup: Setup) -> None:
    outcome = setup("--kibana", f"http://127.0.0.1:{free_port()}", "--dashboards")

    assert outcome.code == 1
    assert "did not answer" in outcome.errors
    assert setup.search.writes()


def test_it_waits_for_a_kibana_that_is_not_ready_yet(kibana: KibanaServer, setup: Setup) -> None:
    kibana.answer_next = [(503, b"Kibana server is not ready yet")] * 2

    outcome = setup("--kibana", kibana.url, "--dashboards", "--wait", "30")

    assert outcome.code == 0
    assert outcome.words[0] == "created"
