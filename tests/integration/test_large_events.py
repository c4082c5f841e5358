"""Events as large as etcd takes them, which anyone who may create events can write."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster, check
from tests.integration.follower import Follower
from tests.integration.process import Process
from tests.integration.watcher import received_once_or_more

MB = 1_000_000
# Of the chart's memory limit, 128 MiB, something is to be left.
MOST_MIB = 110


def _peak_mib(process: Process) -> float:
    """The most memory that the process has had so far."""
    for line in Path(f"/proc/{process.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    pytest.skip("this system does not say what a process had at most")


@pytest.mark.parametrize("is_there_before", [True, False], ids=["listed", "watched"])
def test_memory_stays_bounded_however_large_the_events_are(
    is_there_before: bool, cluster: Cluster, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """A page of them, or what is waiting in a watch, would take more than the container may."""
    server.write_kubeconfig(tmp_path / "kubeconfig")
    if is_there_before:
        cluster.fill(80, message="x" * MB)
    options = ("--kubeconfig", str(tmp_path / "kubeconfig"), "--forward", receiver.url)
    with Process(tmp_path, *options) as process:
        server.wait_for_watches(1)
        if not is_there_before:
            names = cluster.fill(40, message="x" * MB)
            for name in names:
                cluster.update(name)
        received_once_or_more(receiver, cluster.ids(), timeout=60)

        assert _peak_mib(process) < MOST_MIB


def test_a_list_asks_for_as_many_events_as_their_size_allows(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Few where they are large, many where they are small, and all of them come."""
    for number in range(300):
        cluster.create(name=f"a-{number:03}")
    for number in range(8):
        cluster.create(name=f"b-{number}", message="x" * MB)
    for number in range(60):
        cluster.create(name=f"c-{number:02}")
    with Follower(server, kubeconfig) as follower:
        follower.wait_for_position(cluster.revision)

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=cluster.ids())
    limits = [int(r.query["limit"]) for r in server.requests if r.type == "list"]
    assert limits[:3] == [25, 50, 100]  # up, where nothing is large
    assert min(limits) == 1  # down, as some are dropped for their size
    assert limits[-1] > 1  # and up again
    assert follower.count("list", result="page_too_large") > 3
    assert follower.stop.waits == []  # at once: the API server did nothing wrong
