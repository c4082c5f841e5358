"""`eventrouter setup` on a real Elasticsearch: what it writes is stored, known again and used.

`eventrouter check` says the same of it.

That Elasticsearch has no ILM, no security and no TLS: tests/integration plays those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.prepared import TEMPLATE, Setup, checked, setup_of, words
from tests.programs import Elasticsearch
from tests.support.events import todays_index

pytestmark = pytest.mark.e2e


@pytest.fixture
def bare(elasticsearch: Elasticsearch) -> Iterator[Elasticsearch]:
    """Elasticsearch as on its first day. Other tests find none of these templates."""
    elasticsearch.request("DELETE", "/_index_template/*")
    yield elasticsearch
    elasticsearch.request("DELETE", "/_index_template/*")
    elasticsearch.delete("shop-*")


@pytest.fixture
def setup(bare: Elasticsearch) -> Iterator[Setup]:
    with setup_of(bare) as command:
        yield command


def create(server: Elasticsearch, number: int, source: dict[str, Any], index: str = "") -> str:
    """Write a document as Fluent Bit does, in a create; the result. Today's index by default."""
    path = f"/{index or todays_index()}/_create/{number}?refresh=true"
    return str(server.request("PUT", path, source)["result"])


def mapped(server: Elasticsearch, index: str) -> Any:
    return server.request("GET", f"/{index}")[index]["mappings"]


def test_from_nothing_and_again(bare: Elasticsearch, setup: Setup) -> None:
    code, lines = setup.run()
    assert (code, words(lines)) == (0, ["created", "created"])
    again, lines = setup.run()
    assert (again, words(lines)) == (0, ["unchanged", "unchanged"])

    create(bare, 1, {"verb": "ADDED", "event": {"message": "x" * 9000, "unheard": {"of": 1}}})
    assert mapped(bare, todays_index())["dynamic"] == "false"
    assert "unheard" not in mapped(bare, todays_index())["properties"]["event"]["properties"]
    code, lines = setup.run()
    assert (code, words(lines)) == (0, ["unchanged"] * 3)


def test_no_value_of_an_event_is_refused(bare: Elasticsearch, setup: Setup) -> None:
    """Longer than Lucene takes, of another type, with dots in its keys."""
    setup.run()
    long = "日" * 40_000
    odd: list[dict[str, Any]] = [
        {"event": {"message": long, "reason": long, "involvedObject": {"fieldPath": long}}},
        {"event": {"metadata": {"labels": {"a.b": long, "a": "x"}, "annotations": {"a.b": long}}}},
        {"event": {"count": "many", "firstTimestamp": "0000", "series": {"count": 2.5}}},
        {"event": {"eventTime": None, "lastTimestamp": "2999-12-31T23:59:59Z"}, "truncated": long},
        {"old_event": {"count": {"not": "a number"}}, "unheard": [{"of": long}]},
    ]
    for number, source in enumerate(odd):
        assert create(bare, number, source) == "created"
    assert bare.count(todays_index()) == len(odd)


def test_messages_can_be_counted(bare: Elasticsearch, setup: Setup) -> None:
    setup.run()
    for number, message in enumerate(["Back-off", "Back-off", "Killed", "x" * 8192]):
        create(bare, number, {"event": {"message": message}})

    query = {"size": 0, "aggs": {"top": {"terms": {"field": "event.message.keyword"}}}}
    found = bare.request("POST", f"/{todays_index()}/_search", query)
    buckets = found["aggregations"]["top"]["buckets"]
    assert {bucket["key"]: bucket["doc_count"] for bucket in buckets} == {
        "Back-off": 2,
        "Killed": 1,
    }


def test_over_an_older_version_of_ours(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventrouter.setup.objects.VERSION", 0)
    setup.run()
    monkeypatch.undo()

    code, lines = setup.run()
    assert (code, words(lines)) == (0, ["updated", "updated"])
    assert words(setup.run()[1]) == ["unchanged", "unchanged"]


def test_over_a_foreign_template(bare: Elasticsearch, setup: Setup) -> None:
    foreign = {"index_patterns": ["kube-events-*"], "priority": 500, "template": {}}
    bare.request("PUT", TEMPLATE, foreign)

    code, lines = setup.run()
    assert (code, words(lines)) == (1, ["created", "left"])
    assert "mappings" not in str(bare.request("GET", TEMPLATE))
    code, lines = setup.run("--force")
    assert (code, words(lines)) == (0, ["unchanged", "replaced"])


def test_over_a_template_of_another_name_for_the_same_indices(
    bare: Elasticsearch, setup: Setup
) -> None:
    """Elasticsearch refuses two of one priority, and says which."""
    setup.run("--index-prefix", "shop")

    code, lines = setup.run("--index-prefix", "sho")

    assert code == 0, lines  # sho-* and shop-* have no index in common
    bare.request("DELETE", "/_index_template/sho")
    wide = {"index_patterns": ["kube-ev*"], "priority": 500, "template": {}}
    bare.request("PUT", "/_index_template/shopwide", wide)
    code, lines = setup.run()
    assert (code, words(lines)) == (1, ["created", "FAILED"])
    assert "shopwide" in lines[1]


def test_with_a_prefix(bare: Elasticsearch, setup: Setup) -> None:
    options = ("--index-prefix", "shop", "--shards", "2", "--replicas", "0")
    assert setup.run(*options)[0] == 0
    assert words(setup.run(*options)[1]) == ["unchanged", "unchanged"]

    create(bare, 1, {"verb": "ADDED"}, "shop-2026.01.01")
    created = bare.request("GET", "/shop-2026.01.01")["shop-2026.01.01"]
    assert created["mappings"]["dynamic"] == "false"
    assert created["settings"]["index"]["number_of_shards"] == "2"
    assert created["settings"]["index"]["number_of_replicas"] == "0"


def test_an_index_that_was_there_before_is_named_and_made_again(
    bare: Elasticsearch, setup: Setup
) -> None:
    create(bare, 1, {"event": {"metadata": {"labels": {"since": "2026-01-01"}}}})

    code, lines = setup.run()
    assert (code, words(lines)) == (1, ["created", "created", "left"])
    assert "--replace-index deletes it" in lines[2]

    code, lines = setup.run("--replace-index")
    assert (code, words(lines)) == (0, ["unchanged", "unchanged", "deleted"])
    create(bare, 1, {"event": {"metadata": {"labels": {"since": "today"}}}})
    assert words(setup.run()[1]) == ["unchanged"] * 3


def test_the_check_follows_an_index_from_nothing_to_its_template(
    bare: Elasticsearch, setup: Setup
) -> None:
    """That Elasticsearch has no ILM, so its template has none: somebody changed it, says the check
    where it asks past the front that plays the policies.
    """
    assert words(checked(bare.url)) == ["ok", "FAIL", "ok"]
    assert "has no security: anybody may write" in checked(bare.url)[0]
    assert "is not there; run `eventrouter setup --elasticsearch" in checked(bare.url)[1]
    create(bare, 1, {"verb": "ADDED"})
    assert "made without the template" in checked(bare.url)[2]

    bare.request("DELETE", f"/{todays_index()}")
    setup.run()
    create(bare, 1, {"verb": "ADDED"})
    _, template, index = checked(bare.url)
    assert "somebody changed it" in template
    assert index == f"ok    elasticsearch, index {todays_index()}: made by the template"
    # Through the front, which plays them, nothing of it is missing.
    assert words(checked(setup.front.url)) == ["ok", "ok", "ok"]
