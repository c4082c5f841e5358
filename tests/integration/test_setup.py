"""`eventrouter setup`: what it writes, leaves and says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eventrouter.setup.mapping import Server
from eventrouter.setup.mark import VERSION
from eventrouter.setup.objects import Parameters, objects
from tests.integration.setup_command import SetupCommand
from tests.support.events import todays_index
from tests.support.searchserver import Json, Refused, SearchServer

POLICY = {
    Server.ELASTICSEARCH: "/_ilm/policy/kube-events",
    Server.OPENSEARCH: "/_plugins/_ism/policies/kube-events",
}
TEMPLATE = "/_index_template/kube-events"
# As the `curl` of former guides made them.
FOREIGN: dict[str, Any] = {
    POLICY[Server.ELASTICSEARCH]: {
        "policy": {"phases": {"delete": {"min_age": "30d", "actions": {"delete": {}}}}}
    },
    TEMPLATE: {"index_patterns": ["kube-events-*"], "template": {}},
}


def at(search: SearchServer) -> tuple[str, str]:
    return f"--{search.server.value.lower()}", search.url


def made_by(search: SearchServer, setup: SetupCommand, *options: str) -> dict[str, Any]:
    """The objects after a run."""
    assert setup(*at(search), *options).code == 0
    search.forget()
    return dict(search.objects)


def test_it_writes_policy_and_template_into_an_empty_server(
    search: SearchServer, setup: SetupCommand
) -> None:
    outcome = setup(*at(search))

    assert outcome.code == 0
    assert outcome.words == ["created", "created"]
    assert "deletes events after 30d" in outcome.lines[0]
    assert "index template kube-events: for indices kube-events-*" in outcome.lines[1]
    assert search.writes() == [POLICY[search.server], TEMPLATE]
    # Each is read back.
    assert search.requests.count(("GET", TEMPLATE)) == 2


def test_a_second_run_has_nothing_to_do(search: SearchServer, setup: SetupCommand) -> None:
    made_by(search, setup)

    outcome = setup(*at(search))

    assert (outcome.code, outcome.words) == (0, ["unchanged", "unchanged"])
    assert not search.writes()


def test_the_parameters_are_in_what_it_writes(search: SearchServer, setup: SetupCommand) -> None:
    made = made_by(
        search, setup, "--index-prefix", "shop", "--retention", "90d", "--shards", "3",
        "--replicas", "0",
    )  # fmt: skip

    template = made["/_index_template/shop"]
    settings = template["template"]["settings"]["index"]
    assert template["index_patterns"] == ["shop-*"]
    assert (settings["number_of_shards"], settings["number_of_replicas"]) == ("3", "0")
    assert '"90d"' in json.dumps(made[POLICY[search.server].replace("kube-events", "shop")])
    if search.server is Server.ELASTICSEARCH:
        assert settings["lifecycle"] == {"name": "shop"}


def test_it_leaves_alone_and_names_what_somebody_else_made(
    elasticsearch: SearchServer, setup: SetupCommand
) -> None:
    elasticsearch.objects |= FOREIGN

    outcome = setup(*at(elasticsearch))

    assert (outcome.code, outcome.words) == (1, ["left", "left"])
    assert all("somebody else made it; --force" in line for line in outcome.lines)
    assert not elasticsearch.writes()


def test_force_replaces_what_somebody_else_made(
    elasticsearch: SearchServer, setup: SetupCommand
) -> None:
    elasticsearch.objects |= FOREIGN

    outcome = setup(*at(elasticsearch), "--force")

    assert (outcome.code, outcome.words) == (0, ["replaced", "replaced"])
    assert setup(*at(elasticsearch)).words == ["unchanged", "unchanged"]


def test_it_leaves_alone_what_somebody_changed(search: SearchServer, setup: SetupCommand) -> None:
    made_by(search, setup)
    search.objects[TEMPLATE]["template"]["settings"]["index"]["refresh_interval"] = "30s"

    outcome = setup(*at(search))

    assert (outcome.code, outcome.words) == (1, ["unchanged", "left"])
    assert "somebody changed it" in outcome.lines[1]
    assert not search.writes()


def test_a_retention_that_was_chosen_before_stays_until_it_is_forced(
    search: SearchServer, setup: SetupCommand
) -> None:
    made_by(search, setup, "--retention", "90d")

    unasked = setup(*at(search))
    assert (unasked.code, unasked.words) == (1, ["left", "unchanged"])
    assert "with retention 90d, not 30d (the shorter retention deletes events)" in unasked.lines[0]
    assert not search.writes()

    assert setup(*at(search), "--force").words == ["replaced", "unchanged"]
    assert '"30d"' in json.dumps(search.objects[POLICY[search.server]])


def test_it_brings_an_older_version_up_to_date_and_keeps_a_newer_one(
    search: SearchServer, setup: SetupCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventrouter.setup.objects.VERSION", 0)
    made_by(search, setup)
    monkeypatch.setattr("eventrouter.setup.objects.VERSION", VERSION)

    assert setup(*at(search)).words == ["updated", "updated"]
    assert setup(*at(search)).words == ["unchanged", "unchanged"]

    search.forget()
    monkeypatch.setattr("eventrouter.setup.objects.VERSION", 0)
    outcome = setup(*at(search), "--force")
    assert (outcome.code, outcome.words) == (0, ["unchanged", "unchanged"])
    assert "a newer eventrouter made it" in outcome.lines[0]
    assert not search.writes()


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    search: SearchServer, setup: SetupCommand
) -> None:
    outcome = setup(*at(search), "--dry-run")

    assert outcome.code == 0
    assert [line.partition(" ")[0] for line in outcome.lines] == ["would", "would"]
    assert "would be created" in outcome.lines[0]
    assert not search.writes()


def test_print_gives_the_bodies_and_sends_nothing(
    search: SearchServer, setup: SetupCommand
) -> None:
    outcome = setup(*at(search), "--print", "--retention", "7d")

    wanted = objects(search.server, Parameters(retention="7d"))
    printed = json.loads("\n".join(outcome.lines))
    assert printed == {each.path: each.body() for each in wanted}
    assert not search.requests


def test_what_was_made_from_the_printed_bodies_is_known_as_ours(
    search: SearchServer, setup: SetupCommand
) -> None:
    for wanted in objects(search.server, Parameters()):
        search.put(wanted.path, wanted.body())

    assert setup(*at(search)).words == ["unchanged", "unchanged"]


def test_an_index_of_today_that_was_made_without_the_template_is_named(
    search: SearchServer, setup: SetupCommand
) -> None:
    index = f"/{todays_index()}"
    search.objects[index] = {"mappings": {"properties": {"verb": {"type": "text"}}}}

    outcome = setup(*at(search))

    assert (outcome.code, outcome.words) == (1, ["created", "created", "left"])
    assert "--replace-index deletes it with its events" in outcome.lines[2]
    assert index in search.objects


def test_it_replaces_such_an_index_if_asked_to_and_only_then(
    search: SearchServer, setup: SetupCommand
) -> None:
    index = f"/{todays_index()}"
    search.objects[index] = {"mappings": {}}
    setup(*at(search))

    tried = setup(*at(search), "--replace-index", "--dry-run")
    assert tried.code == 0
    assert tried.lines[2].startswith("would be deleted index kube-events-")
    assert index in search.objects
    done = setup(*at(search), "--replace-index")

    assert (done.code, done.words) == (0, ["unchanged", "unchanged", "deleted"])
    assert index not in search.objects
    search.objects[index] = {"mappings": {"dynamic": "false"}}
    assert setup(*at(search), "--replace-index").words == ["unchanged"] * 3
    assert index in search.objects


def test_it_deletes_no_index_that_another_template_would_make_anew(
    search: SearchServer, setup: SetupCommand
) -> None:
    """Ours is as it should be, but of a lower priority."""
    index = f"/{todays_index()}"
    setup(*at(search))
    theirs = {"index_patterns": ["kube-*"], "priority": 1000, "template": {"mappings": {}}}
    search.objects |= {index: {"mappings": {}}, "/_index_template/theirs": theirs}

    outcome = setup(*at(search), "--replace-index")

    assert (outcome.code, outcome.words) == (1, ["unchanged", "unchanged", "FAILED"])
    assert "another template with a higher priority is for it" in outcome.lines[2]
    assert index in search.objects


def test_an_index_is_deleted_once_though_the_answer_was_lost(setup: SetupCommand) -> None:
    """The next event has made it again, by the template: a second try would take that one."""
    with LossyServer() as server:
        setup(*at(server))
        index = f"/{todays_index()}"
        server.objects[index] = {"mappings": {}}

        outcome = setup(*at(server), "--replace-index", "--wait", "5")

        assert outcome.code == 1
        assert f"did not answer DELETE {index}: it answers 504" in outcome.errors
        assert server.objects[index] == {"mappings": {"dynamic": "false"}}


class LossyServer(SearchServer):
    """A proxy in front of it gives up on each DELETE that is done, and then comes an event."""

    def _answer(self, method: str, path: str, query: Json, content: Json | None) -> Json:
        answer = super()._answer(method, path, query, content)
        if method == "DELETE":
            self.objects[path] = {"mappings": {"dynamic": "false"}}
            raise Refused(504, "Gateway Time-out")
        return answer


def test_it_deletes_no_index_that_would_come_back_without_the_template(
    elasticsearch: SearchServer, setup: SetupCommand
) -> None:
    index = f"/{todays_index()}"
    elasticsearch.objects |= {**FOREIGN, index: {"mappings": {}}}

    outcome = setup(*at(elasticsearch), "--replace-index")

    assert (outcome.code, outcome.words) == (1, ["left", "left", "left"])
    assert index in elasticsearch.objects


def test_a_login_that_may_not_delete_is_told_so(
    elasticsearch: SearchServer, setup: SetupCommand
) -> None:
    index = f"/{todays_index()}"
    elasticsearch.objects[index] = {"mappings": {}}
    elasticsearch.missing = {"delete_index"}

    outcome = setup(*at(elasticsearch), "--replace-index")

    assert (outcome.code, outcome.words[2]) == (1, "FAILED")
    assert "lacks delete_index on kube-events-* (403)" in outcome.lines[2]


def test_an_index_of_today_that_the_template_made_is_in_order(
    search: SearchServer, setup: SetupCommand
) -> None:
    index = f"/{todays_index()}"
    search.objects[index] = {"mappings": {"dynamic": "false"}}

    outcome = setup(*at(search))

    assert (outcome.code, outcome.words) == (0, ["created", "created", "unchanged"])


def test_a_write_that_does_not_hold_is_named(search: SearchServer, setup: SetupCommand) -> None:
    search.keeps_writes = False

    outcome = setup(*at(search))

    assert outcome.code == 1
    assert all("reads back different" in line for line in outcome.lines)
