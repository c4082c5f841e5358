"""/livez, /readyz and /metrics, asked over HTTP."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from eventrouter import pipeline
from eventrouter.capture import following
from eventrouter.clock import Backoff
from eventrouter.forward import sender
from eventrouter.kube import events
from eventrouter.ops import health
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher, received_once_or_more
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture(autouse=True)
def _short_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "DRAIN_SECONDS", 0.3)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_all_answer_on_both_families(
    host: str, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """An open host is every address, IPv4 and IPv6."""
    with Watcher(server, receiver.url, tmp_path, host="") as watcher:
        eventually(lambda: watcher.get("/readyz", host=host) == (200, "ok\n"))
        assert watcher.get("/livez", host=host) == (200, "ok\n")
        status, metrics = watcher.get("/metrics", host=host)
        assert status == 200
        assert "eventrouter_events_received_total" in metrics
        status, page = watcher.get("/", host=host)
        assert status == 200
        assert page.startswith("<!doctype html>")
        assert watcher.get("/status.js", host=host)[0] == 404


def test_head_is_answered_as_get_is_without_the_content(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """As a load balancer or an uptime check may ask."""
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: watcher.get("/readyz")[0] == 200)
        for path in ("/", "/livez", "/readyz", "/nothing"):
            head, content = raw_answer(watcher, f"GET {path}")
            assert content
            assert raw_answer(watcher, f"HEAD {path}") == (head, b"")
        head, content = raw_answer(watcher, "HEAD /metrics")
        assert head[0].endswith(b"200 OK")
        assert content == b""


def raw_answer(watcher: Watcher, request: str) -> tuple[list[bytes], bytes]:
    """The lines of its head but for the date, and what came after them."""
    address = ("127.0.0.1", watcher.app.http.port)
    with socket.create_connection(address, timeout=DEADLINE) as connection:
        connection.sendall(f"{request} HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            head, _, content = answer.read().partition(b"\r\n\r\n")
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Date:")], content


def test_a_host_that_is_named_is_the_only_one(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """--listen 127.0.0.1:PORT is not open to the network, nor on IPv6."""
    with (
        Watcher(server, receiver.url, tmp_path, host="127.0.0.1") as watcher,
        pytest.raises(OSError, match="refused"),
    ):
        socket.create_connection(("::1", watcher.app.http.port), timeout=1)


def test_ready_says_which_link_is_missing(
    cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Neither the API server nor the sidecar, then one of them, then both; alive all the time."""
    server.denied = {"list", "watch"}
    receiver.faults.refuse()
    with Watcher(server, receiver.url, tmp_path) as watcher:
        status, text = watcher.get("/readyz")
        assert status == 503
        assert text.splitlines() == ["sidecar: not reached yet", "events: not reached yet"]
        assert watcher.get("/livez") == (200, "ok\n")

        server.denied = set()
        eventually(lambda: watcher.get("/readyz")[1] == "sidecar: not reached yet\n")
        receiver.faults.listen()
        eventually(lambda: watcher.get("/readyz") == (200, "ok\n"))
        assert watcher.get("/livez") == (200, "ok\n")


def test_ready_ends_when_a_link_falls_silent_and_comes_back_with_it(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was reached once may be lost: the reason says which and for how long."""
    monkeypatch.setattr(health, "CONTACT_SECONDS", 0.5)
    monkeypatch.setattr(sender, "HEARTBEAT_SECONDS", 0.05)
    with Watcher(server, receiver.url, tmp_path) as watcher:
        eventually(lambda: "sidecar" not in watcher.get("/readyz")[1])
        receiver.faults.hold_acks()
        eventually(lambda: "sidecar: silent for" in watcher.get("/readyz")[1])
        assert watcher.get("/readyz")[0] == 503
        assert watcher.get("/livez")[0] == 200
        receiver.faults.release_acks()
        cluster.create()
        received_once_or_more(receiver, cluster.ids())
        eventually(lambda: "sidecar" not in watcher.get("/readyz")[1])


def test_alive_ends_only_when_a_thread_of_ours_stands_still(
    server: ApiServer, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one case that a restart may cure."""
    with Watcher(server, receiver.url, tmp_path) as watcher:
        server.wait_for_watches(1)
        assert watcher.get("/livez") == (200, "ok\n")
        monkeypatch.setattr(health, "TURN_SECONDS", -1.0)
        status, text = watcher.get("/livez")
        assert status == 503
        assert "stood still" in text
        assert watcher.get("/readyz")[0] == 503


def test_a_client_that_says_nothing_holds_up_no_other(
    server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """An open connection without a request is somebody's port scan."""
    with (
        Watcher(server, receiver.url, tmp_path) as watcher,
        socket.create_connection(("127.0.0.1", watcher.app.http.port)) as silent,
    ):
        assert watcher.get("/livez")[0] == 200
        silent.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert watcher.get("/livez")[0] == 200


def test_a_silent_api_server_is_no_reason_to_be_restarted(
    cluster: Cluster,
    server: ApiServer,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that waits for a list, again and again, still turns.

    The times of its waits are a sixtieth of the real ones; the other threads' are not.
    """
    monkeypatch.setattr(events, "_LIST_SECONDS", 60 / 60)
    monkeypatch.setattr(health, "TURN_SECONDS", 300 / 60)
    monkeypatch.setattr(following, "Backoff", lambda **_: Backoff(first=0.8 / 60, cap=30 / 60))
    cluster.create()
    server.faults.go_silent()
    complaints: list[str] = []
    with Watcher(server, receiver.url, tmp_path) as watcher:

        def has_waited_long() -> bool:
            ailing = watcher.app.health.ailing()
            complaints.extend(line for line in ailing if "events" in line)
            return watcher.numbers()("errors", error_type="timeout") >= 6

        eventually(has_waited_long)
        server.faults.wake()
        received_once_or_more(receiver, cluster.ids())

    assert complaints == []
