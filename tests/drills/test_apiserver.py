"""The API server killed, its history compacted, the watcher's rights and token taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.drills.drill import Drill, figure
from tests.drills.kubeconfig import give_account, led_to, take_account, with_ca_inline
from tests.drills.relay import Relay
from tests.drills.twin import TwinApiServer
from tests.e2e.conftest import GetPart

pytestmark = pytest.mark.e2e

OUTAGE_SECONDS = figure(30, long=60)
REFUSED_SECONDS = figure(10, long=60)
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


@pytest.fixture
def relay(drill: Drill) -> Iterator[Relay]:
    """Between the watcher and the API server; the load has a link of its own."""
    port = urlsplit(drill.apiserver.url).port
    assert port is not None
    with Relay(port) as relay:
        yield relay


def test_api_server_killed(drill: Drill) -> None:
    """With the load's writes in its hands: back at once, and back after a while."""
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        for seconds in (0, OUTAGE_SECONDS):
            drill.sleep(3, 5)
            drill.apiserver.kill()
            drill.sleep(seconds)
            drill.apiserver.start()
        drill.recover()
    drill.reckon()


def test_one_of_two_api_servers_killed(
    drill: Drill, relay: Relay, part: GetPart, tmp_path: Path
) -> None:
    """The one that serves the watcher, which finds the other one at the same address."""
    twin = TwinApiServer(
        tmp_path / "twin",
        drill.apiserver,
        binary=part("kube-apiserver"),
        etcd=drill.etcd,
        openssl=part("openssl"),
    )
    port = urlsplit(twin.url).port
    assert port is not None
    with twin:
        other, relay.target = relay.target, port
        pair = drill.pair(kubeconfig=led_to(drill.kubeconfig, relay.port))
        drill.follow(pair)
        with drill.under_load():
            drill.sleep(3, 5)
            twin.kill()
            relay.target = other
            drill.recover()
        drill.reckon()


def test_history_compacted_while_the_watcher_is_away(drill: Drill) -> None:
    """Each time for longer than the API server remembers.

    Lost by nature are states that were overwritten before the oldest revision that is left when it
    is back; they alone.
    """
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        for _ in range(figure(2, long=5)):
            drill.sleep(3, 5)
            shipped = drill.recover()
            pair.watcher.kill()
            for _ in range(2):
                # As the API server does it every five minutes: up to where it was a turn before.
                compacted = drill.etcd.revision()
                drill.sleep(figure(6, long=30))
                drill.etcd.compact(compacted)
            drill.gaps[shipped] = compacted
            pair.watcher.start()
        drill.recover()
    drill.reckon()
    assert pair.watcher.said("no longer has the changes") == len(drill.gaps)
    assert pair.watcher.said("listing everything anew") == 0


def test_role_taken_away_and_given_back(drill: Drill, relay: Relay) -> None:
    """Its connections are cut too, since a watch that is open is not asked for its rights."""

    def take() -> None:
        drill.client.call("DELETE", f"{BINDING}/eventrouter")
        relay.cut()

    binding = {
        "metadata": {"name": "eventrouter"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "eventrouter",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "eventrouter", "namespace": "default"}],
    }
    refused_and_let_in_again(
        drill,
        relay,
        take=take,
        give=lambda _: drill.client.call("POST", BINDING, binding),
        error_type="forbidden",
    )


def test_token_made_invalid_and_replaced(drill: Drill, relay: Relay) -> None:
    """The account is deleted and made anew: its old token is worth nothing, and a new one comes
    into the same file.
    """

    def take() -> None:
        take_account(drill.client)
        time.sleep(11)
        relay.cut()

    def give(kubeconfig: Path) -> None:
        give_account(drill.client, kubeconfig)

    # A kubeconfig is read at most once a minute: longer than the short form keeps history.
    drill.compaction.end()
    refused_and_let_in_again(drill, relay, take=take, give=give, error_type="unauthorized")


# Of a handshake of the load that failed, urllib3 leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ca_rotated(drill: Drill) -> None:
    """The API server comes back with a certificate by another CA, and the kubeconfig follows.

    The watcher goes on by itself, and one that starts later takes the old position to be good.
    """
    kubeconfig = with_ca_inline(drill.kubeconfig, drill.apiserver.ca_file)
    pair = drill.pair(kubeconfig=kubeconfig)
    drill.follow(pair)
    pid = pair.watcher.pid
    # A kubeconfig is read at most once a minute: longer than the short form keeps history.
    drill.compaction.end()
    with drill.under_load():
        drill.sleep(3)
        drill.apiserver.kill()
        drill.apiserver.rotate_ca()
        with_ca_inline(drill.kubeconfig, drill.apiserver.ca_file)
        drill.apiserver.start()
        drill.recover()
        assert (pair.watcher.pid, pair.watcher.is_running) == (pid, True)
        pair.watcher.kill()
        drill.sleep(3)
        pair.watcher.start()
        drill.recover()
    drill.reckon()
    assert pair.watcher.said("listing everything anew") == 0


def refused_and_let_in_again(
    drill: Drill,
    relay: Relay,
    *,
    take: Callable[[], None],
    give: Callable[[Path], object],
    error_type: str,
) -> None:
    """The watcher is refused for a while, says so, and goes on by itself when it no longer is."""
    kubeconfig = led_to(drill.kubeconfig, relay.port)
    pair = drill.pair(kubeconfig=kubeconfig)
    drill.follow(pair)
    pid = pair.watcher.pid
    with drill.under_load():
        drill.sleep(3)
        take()
        drill.sleep(REFUSED_SECONDS)
        errors = pair.watcher.metrics().total("eventrouter_errors_total", error_type=error_type)
        assert 0 < errors < REFUSED_SECONDS + 5
        give(kubeconfig)
        drill.recover()
    drill.reckon()
    assert (pair.watcher.pid, pair.watcher.is_running) == (pid, True)
