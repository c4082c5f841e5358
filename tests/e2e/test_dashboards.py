"""Every panel's query, taken from the files, on a real server that holds known events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from eventrouter.setup.mapping import Server
from tests.dashboards import grafana_search, kibana_search
from tests.dashboards.answer import rows
from tests.dashboards.expected import check, expected
from tests.dashboards.known_events import EVENTS, Document, known_documents
from tests.e2e.prepared import setup_of
from tests.programs import Elasticsearch, OpenSearch

pytestmark = pytest.mark.e2e
FOLDER = Path(__file__).parents[2] / "dashboards"
INDICES = "kube-events-*"
_BULK = 2_000
Json = dict[str, Any]


class Filled:
    """A server that holds the known events."""

    def __init__(self, server: Elasticsearch, documents: list[Document]) -> None:
        self.server = server
        self.documents = documents
        self.expected = expected(documents)

    def search(self, body: Json) -> Json:
        answer = self.server.request("POST", f"/{INDICES}/_search", body)
        assert answer["_shards"]["failed"] == 0, answer[
            "_shards"
        ]  # else it is a part of the answer
        return answer

    def check(self, title: str, body: Json, *, grafana_type: str = "") -> None:
        """The answer has the numbers that this title promises. Grafana splits in another order."""
        wanted = self.expected[title]
        documents = [document for document in self.documents if wanted.where(document)]
        assert documents, f"{title}: the known events have nothing for it"
        answer = self.search(body)
        if "aggs" not in body:
            self._check_latest(answer, documents, body["size"])
            return
        unit = title.rpartition("(")[2].rstrip(")")
        found, by = rows(body, answer), wanted.by
        if grafana_type == "timeseries":
            by = (*by[1:], by[0])
        elif grafana_type == "barchart":
            by = by[::-1]
        elif grafana_type == "stat":
            (figure,) = found.values()  # of the one bucket that spans all time
            found = {(): figure}
        elif grafana_type == "table":
            by = (replace(by[0], size=500), *by[1:])
        check(found, documents, by, unit)

    def _check_latest(self, answer: Json, documents: list[Document], size: int) -> None:
        shown = [datetime.fromisoformat(h["_source"]["@timestamp"]) for h in answer["hits"]["hits"]]
        newest = sorted((document.at for document in documents), reverse=True)
        assert shown == newest[:size]
        assert answer["hits"]["total"]["value"] == len(documents)


def fill(server: Elasticsearch, documents: list[Document]) -> Filled:
    for start in range(0, len(documents), _BULK):
        lines = []
        for document in documents[start : start + _BULK]:
            lines.append(json.dumps({"create": {"_index": document.index, "_id": document.id}}))
            lines.append(json.dumps(document.source))
        answer = urllib3.request(
            "POST", f"{server.url}/_bulk", body="\n".join([*lines, ""]),
            headers={"Content-Type": "application/x-ndjson"}, timeout=60.0,
        )  # fmt: skip
        assert json.loads(answer.data)["errors"] is False
    assert server.count(INDICES) == len(documents)
    return Filled(server, documents)


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    found = known_documents(now=datetime.now(UTC))
    assert len({document.source["event"]["metadata"]["uid"] for document in found}) == EVENTS
    return found


@pytest.fixture(scope="module")
def elasticsearch_filled(
    session_elasticsearch: Elasticsearch, documents: list[Document]
) -> Iterator[Filled]:
    session_elasticsearch.delete(INDICES)
    with setup_of(session_elasticsearch) as setup:
        assert setup.run("--force")[0] == 0
    yield fill(session_elasticsearch, documents)
    session_elasticsearch.delete(INDICES)


@pytest.fixture(scope="module")
def opensearch_filled(
    session_opensearch: OpenSearch, documents: list[Document]
) -> Iterator[Filled]:
    session_opensearch.delete(INDICES)
    with setup_of(session_opensearch, server=Server.OPENSEARCH) as setup:
        assert setup.run("--force")[0] == 0
    yield fill(session_opensearch, documents)
    session_opensearch.delete(INDICES)


@pytest.fixture(
    params=["elasticsearch_filled", "opensearch_filled"], ids=["Elasticsearch", "OpenSearch"]
)
def filled(request: pytest.FixtureRequest) -> Filled:
    result: Filled = request.getfixturevalue(request.param)
    return result


def kibana_panels() -> list[Json]:
    """The saved objects that ask."""
    lines = (FOLDER / "kibana" / "events.ndjson").read_text().splitlines()
    objects = [json.loads(line) for line in lines]
    return [
        each
        for each in objects
        if each["type"] == "search"
        or (each["type"] == "visualization" and json.loads(each["attributes"]["visState"])["aggs"])
    ]


def grafana_panels() -> list[Json]:
    dashboard = json.loads((FOLDER / "grafana" / "events.json").read_text())
    panels = [inner for each in dashboard["panels"] for inner in (each, *each.get("panels", ()))]
    return [panel for panel in panels if panel.get("targets")]


def test_every_panel_of_kibana_gives_the_expected_numbers(filled: Filled) -> None:
    titles = []
    for saved in kibana_panels():
        titles.append(saved["attributes"]["title"])
        filled.check(titles[-1], kibana_search.search_body(saved))
    assert set(titles) == filled.expected.keys()


def test_every_panel_of_grafana_gives_the_expected_numbers(filled: Filled) -> None:
    titles = []
    for panel in grafana_panels():
        titles.append(panel["title"])
        (target,) = panel["targets"]
        filled.check(titles[-1], grafana_search.search_body(target), grafana_type=panel["type"])
    assert set(titles) == filled.expected.keys()
