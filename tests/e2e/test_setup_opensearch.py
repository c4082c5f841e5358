"""`eventrouter setup` on a real OpenSearch, and what `eventrouter check` says of it.

Its published parts have no ISM and no security: tests/integration plays those, and with them the
writer's rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eventrouter.setup.mapping import Server
from eventrouter.setup.mark import VERSION
from tests.e2e.prepared import TEMPLATE, Setup, checked, setup_of, words
from tests.programs import OpenSearch
from tests.support.events import todays_index

pytestmark = pytest.mark.e2e


@pytest.fixture
def opensearch(session_opensearch: OpenSearch) -> OpenSearch:
    session_opensearch.request("DELETE", "/_index_template/*")
    session_opensearch.delete("kube-events-*")
    return session_opensearch


@pytest.fixture
def setup(opensearch: OpenSearch) -> Iterator[Setup]:
    with setup_of(opensearch, server=Server.OPENSEARCH) as command:
        yield command


def test_from_nothing_and_again_and_no_value_is_refused(
    opensearch: OpenSearch, setup: Setup
) -> None:
    code, lines = setup.run()
    assert (code, words(lines)) == (0, ["created", "created"])
    again, lines = setup.run()
    assert (again, words(lines)) == (0, ["unchanged", "unchanged"])

    long = "日" * 40_000
    odd: list[dict[str, Any]] = [
        {"event": {"message": long, "reason": long, "involvedObject": {"fieldPath": long}}},
        {"event": {"metadata": {"labels": {"a.b": "y", "a": "x"}, "annotations": {"a.b": long}}}},
        {"event": {"count": "many", "firstTimestamp": "0000", "series": {"count": 2.5}}},
        {"event": {"eventTime": None, "lastTimestamp": "2999-12-31T23:59:59Z"}, "truncated": long},
        {"old_event": {"count": {"not": "a number"}}, "unheard": [{"of": long}]},
    ]
    for number, source in enumerate(odd):
        opensearch.request("PUT", f"/{todays_index()}/_create/{number}", source)
    assert opensearch.count(todays_index()) == len(odd)
    assert words(setup.run()[1]) == ["unchanged"] * 3


def test_over_an_older_version_of_ours(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventrouter.setup.objects.VERSION", 0)
    setup.run()
    monkeypatch.undo()

    code, lines = setup.run()
    assert (code, words(lines)) == (0, ["updated", "updated"])
    assert words(setup.run()[1]) == ["unchanged", "unchanged"]


def test_over_a_foreign_template_and_an_index_of_today(
    opensearch: OpenSearch, setup: Setup
) -> None:
    foreign = {"index_patterns": ["kube-events-*"], "priority": 500, "template": {}}
    opensearch.request("PUT", TEMPLATE, foreign)
    opensearch.request("PUT", f"/{todays_index()}/_create/1", {"verb": "ADDED"})

    code, lines = setup.run()
    assert (code, words(lines)) == (1, ["created", "left", "left"])
    assert words(setup.run("--force")[1]) == ["unchanged", "replaced", "left"]


def test_with_a_prefix(opensearch: OpenSearch, setup: Setup) -> None:
    options = ("--index-prefix", "shop", "--shards", "2", "--replicas", "0")
    assert words(setup.run(*options)[1]) == ["created", "created"]
    assert words(setup.run(*options)[1]) == ["unchanged", "unchanged"]
    opensearch.delete("shop-*")
    opensearch.request("PUT", "/shop-2026.01.01/_create/1", {"verb": "ADDED"})
    made = opensearch.request("GET", "/shop-2026.01.01")["shop-2026.01.01"]
    assert made["mappings"]["dynamic"] == "false"
    assert made["settings"]["index"]["number_of_shards"] == "2"


def test_a_server_without_policies_is_named(opensearch: OpenSearch, setup: Setup) -> None:
    """The published OpenSearch is one: it has no plugin for them."""
    setup.front.url = opensearch.url

    code, lines = setup.run()
    assert (code, words(lines)) == (1, ["FAILED", "created"])
    assert "the server has no /_plugins/_ism/policies" in lines[0]


def says(opensearch: OpenSearch) -> list[str]:
    """What the check says of it. Nothing of it is played: the check asks for no policy."""
    return checked(opensearch.url, server=Server.OPENSEARCH)


def test_the_check_follows_an_index_from_nothing_to_its_template(
    opensearch: OpenSearch, setup: Setup
) -> None:
    login, template, index = says(opensearch)
    assert login.startswith("ok    opensearch: answers at ")
    assert "has no security: anybody may write" in login
    assert template.startswith("FAIL  opensearch, index template kube-events: is not there;")
    assert f"`eventrouter setup --opensearch {opensearch.url} --index-prefix" in template
    assert "is not there yet" in index
    opensearch.request("PUT", f"/{todays_index()}/_create/1", {"verb": "ADDED"})
    late = says(opensearch)
    assert words(late) == ["ok", "FAIL", "FAIL"]
    assert "made without the template" in late[2]

    code, lines = setup.run("--replace-index")
    assert (code, words(lines)) == (0, ["created", "created", "deleted"])
    opensearch.request("PUT", f"/{todays_index()}/_create/1", {"verb": "ADDED"})
    _, template, index = says(opensearch)
    assert template.startswith("ok    opensearch, index template kube-events: eventrouter made it")
    assert index == f"ok    opensearch, index {todays_index()}: made by the template"


def test_the_check_names_a_template_that_is_not_ours_or_not_current(
    opensearch: OpenSearch, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventrouter.setup.objects.VERSION", 0)
    setup.run()
    monkeypatch.undo()
    assert f"is of version 0, not {VERSION}; run `eventrouter setup" in says(opensearch)[1]

    (stored,) = opensearch.request("GET", TEMPLATE)["index_templates"]
    changed = stored["index_template"]
    changed["template"]["settings"]["index"]["refresh_interval"] = "30s"
    opensearch.request("PUT", TEMPLATE, changed)
    assert "somebody changed it after eventrouter made it" in says(opensearch)[1]

    foreign = {"index_patterns": ["kube-events-*"], "priority": 500, "template": {}}
    opensearch.request("PUT", TEMPLATE, foreign)
    told = says(opensearch)[1]
    assert "somebody else made it; to replace it, with the --retention" in told
    assert "that you chose, run `eventrouter setup" in told
