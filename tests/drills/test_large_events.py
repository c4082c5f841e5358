"""A namespace full of the largest events that etcd takes: whoever may create events can do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.drills.cgroup import killed_for_memory, memory_limited
from tests.drills.drill import Drill, figure
from tests.drills.kubeconfig import give_account, led_to, take_account, with_exec_plugin
from tests.drills.relay import ThinLink
from tests.e2e.direct import stored, take_down
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

EVENTS = figure(150, long=600)
MESSAGE_BYTES = 1_400_000  # etcd takes 1.5 MiB
MIB = 2**20
LIMIT_BYTES = 128 * MIB  # the chart's
# The list takes longer than the ten seconds for which the API server goes on to take a token of an
# account that is gone.
BYTES_A_SECOND = 8_000_000


@pytest.fixture
def cgroup() -> Iterator[Path | None]:
    with memory_limited(LIMIT_BYTES) as path:
        yield path


def test_large_events_through_the_charts_memory(cgroup: Path | None, drill: Drill) -> None:
    """Listed after a gap, under a steady load, with a 401 in the middle of the list, so that an
    exec plugin runs beside it: the watcher needs no restart, all arrive whole.
    """
    port = urlsplit(drill.apiserver.url).port
    assert port is not None
    with ThinLink(port, bytes_a_second=BYTES_A_SECOND) as link:
        pair = drill.pair(kubeconfig=with_exec_plugin(led_to(drill.kubeconfig, link.port)))
        pair.watcher.cgroup = cgroup
        drill.follow(pair)
        shipped = drill.client.newest_revision()
        pair.watcher.kill()
        for number in range(EVENTS):
            event = stored(drill.random, f"large-{number}", "x" * MESSAGE_BYTES)
            drill.etcd.put_all([event])
        # The API server may have written one of its own.
        assert take_down(drill.client, drill.ledger) >= EVENTS
        # A watch would bring them one by one; with its position gone, the watcher lists them.
        drill.compaction.end()
        drill.gaps[shipped] = drill.etcd.revision()
        drill.etcd.compact(drill.gaps[shipped])

        with drill.under_load(10):
            pair.watcher.start(wait=False)
            eventually(pair.watcher.is_ready, timeout=60, what="a ready watcher")
            pid = pair.watcher.pid
            take_account(drill.client)
            give_account(drill.client, led_to(drill.kubeconfig, link.port))
            drill.recover()
        peak = pair.watcher.peak_memory_bytes()
        place = f"in a cgroup of {LIMIT_BYTES // MIB}" if cgroup else "no cgroup: limit not tried,"
        drill.note = f"peak {peak / MIB:.0f} MiB {place}"
        drill.reckon()
    assert (pair.watcher.pid, pair.watcher.is_running) == (pid, True)
    assert peak < LIMIT_BYTES
    assert cgroup is None or killed_for_memory(cgroup) == 0
    metrics = pair.watcher.metrics()
    assert metrics.total("eventrouter_relist_total", reason="expired") >= 1
    assert metrics.total("eventrouter_errors_total", error_type="unauthorized") > 0
    log = pair.watcher.log_path.read_text()
    assert log.index("unauthorized") < log.rindex("Listed the events")
