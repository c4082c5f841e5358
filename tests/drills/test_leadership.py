"""Two replicas and one Lease: whatever befalls the leader, each state is one document."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.drills.drill import Drill
from tests.drills.pair import Pair
from tests.programs.apiserver import READ_EVENTS
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/eventrouter"
ANNOTATION = "eventrouter/checkpoint"
KEEP_LEASE: list[dict[str, Any]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["eventrouter"],
        "verbs": ["get", "update"],
    },
]
# From one look of a standby at the lease to the next, at most.
LOOK_SECONDS = 4.4
# From a leader's last renewal: a standby's look that sees it, the lease from then on, another look,
# and a busy machine.
TAKEOVER_SECONDS = 15 + 2 * LOOK_SECONDS + 5
# A standby's next look, and a busy machine: less than the lease takes to run out.
HANDOVER_SECONDS = LOOK_SECONDS + 5
# To read and to write the Lease, on a busy machine.
OWN_LEASE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Replicas:
    """Both pairs, the first of which leads at the start."""

    leader: Pair
    standby: Pair


@pytest.fixture
def replicas(drill: Drill) -> Replicas:
    kubeconfig = drill.apiserver.kubeconfig_for("replica", [READ_EVENTS, *KEEP_LEASE])
    leader, standby = (
        drill.pair(name, kubeconfig=kubeconfig, checkpoint="lease:default/eventrouter")
        for name in ("a", "b")
    )
    drill.follow(leader)
    standby.start()
    assert leader.watcher.is_leading
    assert not standby.watcher.is_leading
    return Replicas(leader, standby)


def lease(drill: Drill) -> dict[str, Any]:
    """The Lease as it is now."""
    return drill.client.call("GET", LEASE)


def wait_for(pair: Pair) -> None:
    """Wait until this one leads."""
    eventually(lambda: pair.watcher.is_leading, timeout=120, what=f"{pair.watcher.pod} leads")


def seconds_since_1970(time: str) -> float:
    """Of a time in a Lease or a log."""
    return datetime.fromisoformat(time).timestamp()


def logged_at(pair: Pair, message: str) -> float:
    """When the watcher said this last, in seconds since 1970."""
    lines = pair.watcher.log_path.read_text().splitlines()
    return max(seconds_since_1970(json.loads(line)["time"]) for line in lines if message in line)


def test_leader_killed(drill: Drill, replicas: Replicas) -> None:
    """The standby leads once the lease has run out, and goes on from its checkpoint."""
    with drill.under_load():
        drill.sleep(3, 6)
        replicas.leader.kill()
        before = lease(drill)
        drill.sleep(1)  # what is written from now on, only the standby can bring
        drill.recover()
    after = lease(drill)
    drill.reckon()
    assert replicas.standby.watcher.is_leading
    renewed = seconds_since_1970(before["spec"]["renewTime"])
    assert seconds_since_1970(after["spec"]["acquireTime"]) - renewed < TAKEOVER_SECONDS
    assert replicas.standby.watcher.said("listing everything anew") == 0


def test_leader_killed_and_back_at_once(drill: Drill, replicas: Replicas) -> None:
    """A restarted container is the same pod: it takes its own lease without waiting."""
    with drill.under_load():
        drill.sleep(3, 6)
        replicas.leader.watcher.kill()
        replicas.leader.watcher.start(wait=False)
        drill.recover()
    drill.reckon()
    leader = replicas.leader
    assert logged_at(leader, "Leading as") - logged_at(leader, '"Started"') < OWN_LEASE_SECONDS
    assert not replicas.standby.watcher.is_leading


def test_leader_frozen_past_its_lease_and_woken(drill: Drill, replicas: Replicas) -> None:
    """Its late writes are refused, and it stands by in the same process."""
    old, new = replicas.leader.watcher, replicas.standby.watcher
    pid = old.pid
    with drill.under_load():
        drill.sleep(3, 6)
        old.freeze()
        wait_for(replicas.standby)
        drill.sleep(5)
        before = lease(drill)
        old.thaw()
        drill.recover()
        eventually(lambda: not old.is_leading, what="the woken one stands by")
        drill.sleep(5)
    after = lease(drill)
    assert after["spec"]["holderIdentity"] == before["spec"]["holderIdentity"]
    assert after["spec"]["leaseTransitions"] == before["spec"]["leaseTransitions"]
    assert new.is_leading
    assert (old.pid, old.is_running, old.is_leading) == (pid, True, False)
    assert old.said("Lost the lease") == 1
    eventually(old.is_ready, what="a ready standby")
    drill.reckon()

    # It is as good a standby as any other.
    with drill.under_load():
        replicas.standby.kill()
        drill.sleep(1)
        drill.recover()
        assert old.is_leading
    drill.reckon()


def test_leader_told_to_stop(drill: Drill, replicas: Replicas) -> None:
    """It hands over: the standby need not wait for the lease to run out."""
    with drill.under_load():
        drill.sleep(3, 6)
        assert replicas.leader.watcher.stop() == 0
        stopped = time.time()
        drill.sleep(1)
        drill.recover()
    acquired = seconds_since_1970(lease(drill)["spec"]["acquireTime"])
    drill.reckon()
    assert replicas.standby.watcher.is_leading
    assert acquired - stopped < HANDOVER_SECONDS
    assert replicas.standby.watcher.said("listing everything anew") == 0


def test_lease_deleted_by_hand(drill: Drill, replicas: Replicas) -> None:
    """Somebody leads within seconds, from the last position."""
    with drill.under_load():
        for _ in range(3):
            drill.sleep(3, 6)
            drill.recover()
            drill.client.call("DELETE", LEASE)
            eventually(
                lambda: ANNOTATION in lease_or_nothing(drill).get("annotations", {}),
                what="a lease with a checkpoint",
            )
            drill.recover()
        eventually(
            lambda: replicas.leader.watcher.is_leading != replicas.standby.watcher.is_leading,
            what="exactly one leader",
        )
    drill.reckon()


def test_lease_of_a_dead_leader_deleted_by_hand(drill: Drill, replicas: Replicas) -> None:
    """Nobody writes it anew, but the standby has seen the last position: it goes on from there, and
    what was written while nobody watched arrives, each state of it.
    """
    with drill.under_load():
        drill.sleep(3, 6)
        drill.recover()
        eventually(lambda: '"delivered":{"":' in checkpoint(drill), what="a delivered position")
        drill.sleep(LOOK_SECONDS + 0.5, LOOK_SECONDS + 2)
        replicas.leader.kill()
        drill.sleep(3)
        drill.client.call("DELETE", LEASE)
        wait_for(replicas.standby)
        drill.recover()
    drill.reckon()
    assert replicas.standby.watcher.said("the last one that it had") == 1
    assert replicas.standby.watcher.metrics().total("eventrouter_relist_total", reason="start") == 0


def lease_or_nothing(drill: Drill) -> dict[str, Any]:
    """The Lease's metadata, empty where there is no Lease."""
    answer = drill.client.request("GET", LEASE)
    metadata: dict[str, Any] = answer.json()["metadata"] if answer.status == 200 else {}
    return metadata


def test_garbage_in_the_checkpoint(drill: Drill, replicas: Replicas) -> None:
    """The leader knows better and writes it anew; who leads next goes on from that."""
    with drill.under_load():
        drill.sleep(3, 6)
        for garbage in ("", "null", "{", '{"version": 99}', "\u0000" * 10, "x" * 100_000):
            spoil(drill, garbage)
            eventually(
                lambda: checkpoint(drill).startswith('{"version":1'),
                what="a checkpoint again",
            )
        assert replicas.leader.watcher.is_leading
        replicas.leader.kill()
        drill.sleep(1)
        drill.recover()
        assert replicas.standby.watcher.is_leading
    drill.reckon()
    assert replicas.standby.watcher.said("cannot be understood") == 0


def test_garbage_in_the_checkpoint_of_a_dead_leader(drill: Drill, replicas: Replicas) -> None:
    """Nobody knows better. But the API server still has it all, so all of it still arrives."""
    drill.compaction.end()
    with drill.under_load():
        drill.sleep(3, 6)
        first = drill.client.newest_revision()
        drill.recover()
        replicas.leader.kill()
        spoil(drill, "garbage")
        wait_for(replicas.standby)
        drill.recover()
        drill.blurs.append((first, drill.client.newest_revision()))
    drill.reckon()


def spoil(drill: Drill, garbage: str) -> None:
    """Write this where the checkpoint is."""
    patch = {"metadata": {"annotations": {ANNOTATION: garbage}}}
    drill.client.call("PATCH", LEASE, patch, content_type="application/merge-patch+json")


def checkpoint(drill: Drill) -> str:
    """The text of the checkpoint."""
    return str(lease(drill)["metadata"]["annotations"][ANNOTATION])
