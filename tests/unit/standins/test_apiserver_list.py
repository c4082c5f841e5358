from __future__ import annotations

from typing import Any

import pytest

from eventrouter.standins.apiserver.listing import Token
from tests.support.events import event_to_write
from tests.unit.standins.client import connected


@pytest.fixture
def five(store):
    for name in "cabed":
        store.create(event_to_write(name))


def test_items_of_a_list_have_neither_kind_nor_api_version(client, store):
    store.create(event_to_write())

    status, body = client.get()

    assert status == 200
    assert (body["kind"], body["apiVersion"]) == ("EventList", "v1")
    assert body["metadata"] == {"resourceVersion": "1001"}
    (item,) = body["items"]
    assert "kind" not in item
    assert "apiVersion" not in item
    assert item["metadata"]["managedFields"]


def test_pages_come_in_name_order_and_all_at_the_first_ones_revision(client, store, five):
    first, metadata = client.names(limit=2)
    store.delete("shop", "c")
    store.create(event_to_write("f"))
    second, then = client.names(limit=2, **{"continue": metadata["continue"]})
    third, end = client.names(limit=2, **{"continue": then["continue"]})

    assert [*first, *second, *third] == list("abcde")
    assert metadata["remainingItemCount"] == 3
    assert then["remainingItemCount"] == 1
    assert then["resourceVersion"] == end["resourceVersion"] == "1005"
    assert "continue" not in end


def test_an_exact_list_shows_the_past_until_it_is_compacted(client, store, five):
    def exact(revision):
        return client.get(resourceVersion=revision, resourceVersionMatch="Exact", limit=1)

    status, body = exact(1003)
    assert status == 200
    assert body["metadata"]["resourceVersion"] == "1003"
    assert body["metadata"]["remainingItemCount"] == 2

    store.compact(1004)
    status, body = exact(1003)
    assert (status, body["code"], body["reason"]) == (410, 410, "Expired")
    assert body["message"] == "The resourceVersion for the provided list is too old."
    assert exact(1004)[0] == 200


def test_a_list_from_the_future_is_refused_with_its_cause(client, store, five):
    for match in ("Exact", "NotOlderThan"):
        status, body = client.get(resourceVersion=9000, resourceVersionMatch=match, limit=1)

        assert (status, body["reason"]) == (504, "Timeout")
        assert body["message"] == "Timeout: Too large resource version: 9000, current: 1005"
        assert body["details"]["causes"] == [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        ]


def test_an_expired_continue_token_offers_to_go_on_at_a_newer_revision(client, store, five):
    _, metadata = client.names(limit=2)
    store.create(event_to_write("cc"))
    store.compact()

    status, body = client.get(limit=2, **{"continue": metadata["continue"]})
    assert (status, body["reason"]) == (410, "Expired")
    assert "inconsistent list" in body["message"]

    names, later = client.names(**{"continue": body["metadata"]["continue"]})
    assert names == ["c", "cc", "d", "e"]
    assert later["resourceVersion"] == "1006"


def test_a_namespaced_list_holds_that_namespace_only(client, store, five):
    store.create(event_to_write("other", namespace="billing"))

    status, body = client.get("/api/v1/namespaces/billing/events")

    assert status == 200
    assert [item["metadata"]["name"] for item in body["items"]] == ["other"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("type=Warning", ["a", "b"]),
        ("type==Warning,involvedObject.name!=api-1", ["b"]),
        ("reason!=Unhealthy", ["c"]),
        ("source=default-scheduler", ["c"]),
        ("metadata.name=a", ["a"]),
        ("metadata.namespace=nowhere", []),
        (r"reason=with\,comma", []),
    ],
)
def test_field_selectors_choose(client, store, selector, expected):
    store.create(event_to_write("a"))
    store.create(event_to_write("b", involvedObject={"kind": "Node", "name": "worker-1"}))
    scheduler: dict[str, Any] = {"source": {}, "reportingComponent": "default-scheduler"}
    store.create(event_to_write("c", type="Normal", reason="Scheduled", **scheduler))

    assert client.names(fieldSelector=selector)[0] == expected


def test_pages_of_a_selection_do_not_count_what_remains(client, store, five):
    names, metadata = client.names(fieldSelector="metadata.name!=a", limit=2)

    assert names == ["b", "c"]
    assert "remainingItemCount" not in metadata
    assert Token.decode(metadata["continue"]) == (1005, "shop/c")


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"fieldSelector": "status.phase=x"}, 400, "field label not supported: status.phase"),
        ({"fieldSelector": "type"}, 400, "invalid selector: 'type'; can't understand 'type'"),
        ({"continue": "rubbish"}, 400, "invalid continue token"),
        ({"resourceVersion": "abc"}, 400, "invalid resource version"),
        ({"resourceVersionMatch": "Exact"}, 422, "forbidden unless resourceVersion is provided"),
        (
            {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
            422,
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        ({"watch": "1", "sendInitialEvents": "true"}, 422, "forbidden for watch"),
    ],
)
def test_wrong_queries_are_refused_in_the_servers_words(client, query, status, message):
    found, body = client.get(**query)

    assert found == status
    assert body["kind"] == "Status"
    assert message in body["message"]


def test_paths_that_are_not_there_and_methods_that_are_not_allowed(client):
    assert client.get("/version")[1]["gitVersion"] == "v1.36.3"
    status, body = client.get("/api/v1/pods")
    assert (status, body["reason"]) == (404, "NotFound")
    response = client.request(method="DELETE")
    assert response.status == 405
    response.read()


def test_a_wrong_token_is_unauthorized(server):
    server.tokens = {"right"}

    with connected(server, headers={"Authorization": "Bearer wrong"}) as stranger:
        status, body = stranger.get()
    with connected(server, headers={"Authorization": "Bearer right"}) as friend:
        assert friend.get()[0] == 200

    assert (status, body["message"], body["reason"]) == (401, "Unauthorized", "Unauthorized")


def test_a_missing_right_is_forbidden_and_says_where(server, client):
    server.user = "system:serviceaccount:logging:eventrouter"
    server.denied = {"list"}

    status, body = client.get()
    assert status == 403
    assert body["message"] == (
        'events is forbidden: User "system:serviceaccount:logging:eventrouter" cannot list resource'
        ' "events" in API group "" at the cluster scope'
    )
    _, body = client.get("/api/v1/namespaces/shop/events")
    assert body["message"].endswith('in the namespace "shop"')


def test_a_large_list_is_gzipped_for_those_who_ask(client, store):
    store.create(event_to_write(message="x" * 200_000))

    response = client.request(headers={"Accept-Encoding": "gzip"})

    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.read()) < 10_000
    assert len(client.request().read()) > 200_000


def test_requests_are_noted_as_they_come(server, client):
    client.get(resourceVersion=1000, resourceVersionMatch="Exact", limit=1)
    client.get(limit=250)

    probe, listing = server.wait_for_requests(2)
    assert (probe.type, listing.type) == ("probe", "list")
    assert (listing.method, listing.path, listing.query) == (
        *("GET", "/api/v1/events"),
        {"limit": "250"},
    )
    assert probe.time <= listing.time


def test_the_kubeconfig_leads_to_the_server(server, tmp_path):
    path = tmp_path / "kubeconfig"

    server.write_kubeconfig(path, token="secret")

    text = path.read_text(encoding="utf-8")
    assert f'server: "{server.url}"' in text
    assert 'token: "secret"' in text
