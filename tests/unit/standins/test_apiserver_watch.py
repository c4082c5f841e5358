from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import orjson
import pytest

from tests.support.events import event_to_write
from tests.support.waiting import DEADLINE
from tests.unit.standins.client import connected, line


def summary(watch_line):
    metadata = watch_line["object"]["metadata"]
    return watch_line["type"], metadata["name"], metadata["resourceVersion"]


def test_a_watch_goes_on_from_its_revision_with_every_state(client, store):
    store.create(event_to_write("a"))
    store.create(event_to_write("b"))
    store.update("shop", "b", {"count": 2})

    response = client.watch(resourceVersion=1001)
    lines = [line(response), line(response)]
    store.delete("shop", "a")
    lines.append(line(response))

    assert [summary(each) for each in lines] == [
        ("ADDED", "b", "1002"),
        ("MODIFIED", "b", "1003"),
        ("DELETED", "a", "1004"),
    ]
    assert list(lines[0]["object"])[:3] == ["kind", "apiVersion", "metadata"]
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.headers["Content-Type"] == "application/json"


def test_a_watch_ends_cleanly_at_its_timeout_and_the_connection_lives_on(client, store):
    response = client.watch(resourceVersion=1000, timeoutSeconds=1)

    assert line(response) is None
    assert client.get()[0] == 200


def test_lines_that_are_ready_go_out_together_in_chunks_of_two_kilobytes(server, store):
    for number in range(10):
        store.create(event_to_write(f"e{number}"))
    target = urlsplit(server.url)

    with socket.create_connection((target.hostname, target.port), timeout=DEADLINE) as connection:
        connection.sendall(b"GET /api/v1/events?watch=1&resourceVersion=1000 HTTP/1.1\r\n\r\n")
        reader = connection.makefile("rb")
        while reader.readline().strip():
            pass
        with reader:
            chunk = reader.read(int(reader.readline(), 16))

    assert len(chunk) == 2048
    assert chunk.count(b"\n") > 1


def test_chunks_do_not_end_where_lines_end(server, client, store):
    for number in range(10):
        store.create(event_to_write(f"e{number}", message="x" * 9_000))

    response = client.watch(resourceVersion=1000)

    assert [line(response)["object"]["metadata"]["name"] for _ in range(10)] == [
        f"e{number}" for number in range(10)
    ]


def test_a_watch_without_a_version_begins_with_what_is_there(client, store):
    store.create(event_to_write("b"))
    store.create(event_to_write("a"))
    store.update("shop", "a", {"count": 2})

    response = client.watch()
    lines = [line(response), line(response)]
    store.create(event_to_write("c"))

    assert [summary(each) for each in [*lines, line(response)]] == [
        ("ADDED", "a", "1003"),
        ("ADDED", "b", "1001"),
        ("ADDED", "c", "1004"),
    ]


def test_a_watch_from_compacted_history_says_so_after_http_200(client, store):
    store.create(event_to_write("a"))
    store.create(event_to_write("b"))
    store.create(event_to_write("c"))
    store.compact()

    response = client.watch(resourceVersion=1001)

    assert response.status == 200
    error = line(response)
    assert error["type"] == "ERROR"
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
    assert line(response) is None


def test_a_watch_from_the_future_is_silent_until_it_has_come(client, store):
    response = client.watch(resourceVersion=1002)

    for name in "abc":
        store.create(event_to_write(name))

    assert summary(line(response)) == ("ADDED", "c", "1003")


def test_a_selector_turns_changes_into_comings_and_goings(client, store):
    response = client.watch(resourceVersion=1000, fieldSelector="reason=Unhealthy")

    store.create(event_to_write("a", reason="Started"))
    store.update("shop", "a", {"reason": "Unhealthy"})
    store.update("shop", "a", {"count": 2})
    store.update("shop", "a", {"reason": "Healed"})
    store.delete("shop", "a")
    store.create(event_to_write("b"))

    lines = [line(response) for _ in range(4)]
    assert [summary(each) for each in lines] == [
        ("ADDED", "a", "1002"),
        ("MODIFIED", "a", "1003"),
        ("DELETED", "a", "1004"),
        ("ADDED", "b", "1006"),
    ]
    assert lines[2]["object"]["reason"] == "Unhealthy"  # the last state that matched


def test_a_namespaced_watch_hears_of_its_namespace_only(client, store):
    response = client.watch("/api/v1/namespaces/billing/events", resourceVersion=1000)

    store.create(event_to_write("a"))
    store.create(event_to_write("b", namespace="billing"))

    assert summary(line(response)) == ("ADDED", "b", "1002")


def test_the_server_notices_a_client_that_leaves(server):
    with connected(server) as client:
        client.watch(resourceVersion=1000)
        server.wait_for_watches(1)

    server.wait_for_watches(0)


def test_odd_objects_pass_as_they_are(client, store):
    store.put_raw("shop", "odd", b'{"metadata":{"name":"odd"},"message":"\\ud800"}')

    response = client.watch(resourceVersion=1000)

    assert response.readline() == (
        b'{"type":"ADDED","object":{"kind":"Event","apiVersion":"v1",'
        b'"metadata":{"name":"odd"},"message":"\\ud800"}}\n'
    )


@pytest.mark.parametrize("flag", ["1", "true", ""])
def test_watch_is_a_flag_in_the_servers_way(server, client, flag):
    response = client.request(watch=flag, resourceVersion="1000")

    server.wait_for_watches(1)
    assert response.headers["Transfer-Encoding"] == "chunked"


class TestFaults:
    def test_planned_answers_strike_their_kind_of_request(self, server, client):
        server.faults.answer(429, to="list", headers={"Retry-After": "7"})
        server.faults.answer(503, to="watch", times=2)

        assert client.get("/version")[0] == 200
        refused = client.request()
        assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
        refused.read()
        assert client.get()[0] == 200
        assert [client.get(watch="1")[0] for _ in range(2)] == [503, 503]
        assert client.watch(resourceVersion=1000).status == 200

    @pytest.mark.parametrize("form", ["status", "line", "empty"])
    def test_a_watch_expires_in_each_of_the_known_forms(self, server, client, form):
        server.faults.expire_watches(form)

        response = client.watch(resourceVersion=1000)

        if form == "status":
            assert response.status == 410
            assert orjson.loads(response.read())["reason"] == "Expired"
        else:
            assert response.status == 200
            assert form == "empty" or line(response)["object"]["code"] == 410
            assert line(response) is None
        assert client.watch(resourceVersion=1000).status == 200

    def test_open_watches_can_be_closed_in_the_orderly_way(self, server, client):
        response = client.watch(resourceVersion=1000)
        server.wait_for_watches(1)

        server.faults.close_watches()

        assert line(response) is None

    def test_open_watches_can_be_cut_in_the_middle_of_a_line(self, server, client, store):
        response = client.watch(resourceVersion=1000)
        server.wait_for_watches(1)

        server.faults.cut_watches(after_bytes=50)
        store.create(event_to_write())

        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            response.read()

    def test_anything_can_be_put_between_the_lines(self, server, client, store):
        response = client.watch(resourceVersion=1000)
        server.wait_for_watches(1)

        store.create(event_to_write("a"))
        server.faults.inject(b"no json\n")
        server.faults.inject_error(500)
        server.faults.inject_bookmark(1234)
        store.create(event_to_write("b"))

        assert summary(line(response)) == ("ADDED", "a", "1001")
        assert response.readline() == b"no json\n"
        assert line(response)["object"]["code"] == 500
        bookmark = line(response)
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["resourceVersion"] == "1234"
        assert summary(line(response)) == ("ADDED", "b", "1002")

    def test_a_silent_server_keeps_its_connections_and_answers_when_it_wakes(self, server, store):
        with connected(server) as watcher, connected(server) as asker:
            response = watcher.watch(resourceVersion=1000)
            server.wait_for_watches(1)

            server.faults.go_silent()
            store.create(event_to_write("a"))
            asker.connection.request("GET", "/version")
            server.wait_for_requests(2)
            asker.connection.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                asker.connection.sock.recv(1)
            asker.connection.sock.settimeout(DEADLINE)

            server.faults.wake()
            assert asker.connection.getresponse().status == 200
            assert summary(line(response)) == ("ADDED", "a", "1001")

    @pytest.mark.parametrize("silent", [False, True], ids=["awake", "silent"])
    def test_a_killed_server_resets_refuses_and_comes_back_at_its_port(
        self, server, client, store, silent
    ):
        response = client.watch(resourceVersion=1000)
        server.wait_for_watches(1)
        if silent:
            server.faults.go_silent()
            store.create(event_to_write())

        server.faults.refuse()

        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            response.read()
        with connected(server) as late, pytest.raises(ConnectionRefusedError):
            late.get()
        server.faults.wake()
        server.faults.listen()
        with connected(server) as again:
            assert again.get()[0] == 200
