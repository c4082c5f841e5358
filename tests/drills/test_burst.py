"""A burst: more events at once than the watcher may hold in its memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.cgroup import memory_limited
from tests.drills.drill import Drill
from tests.e2e.direct import stored, take_down
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

EVENTS = 50_000
MIB = 2**20
LIMIT_BYTES = 96 * MIB


@pytest.fixture
def cgroup() -> Iterator[Path | None]:
    with memory_limited(LIMIT_BYTES) as path:
        yield path


def test_burst_through_a_small_memory(cgroup: Path | None, drill: Drill) -> None:
    """The watcher is away while they are written, so that they come as fast as the API server can
    send them. Written past it, into its etcd, since it would take minutes to accept so many.
    """
    pair = drill.pair()
    pair.watcher.cgroup = cgroup
    drill.follow(pair)
    pair.watcher.kill()
    events = (
        stored(drill.random, f"burst-{number}", f"one of {EVENTS}") for number in range(EVENTS)
    )
    drill.etcd.put_all(list(events))
    # The API server may have written one of its own.
    assert take_down(drill.client, drill.ledger) >= EVENTS

    pair.watcher.start(wait=False)
    eventually(pair.watcher.is_ready, timeout=60, what="a ready watcher")
    pid = pair.watcher.pid
    drill.recover()
    peak = pair.watcher.peak_memory_bytes()
    place = f"in a cgroup of {LIMIT_BYTES // MIB}" if cgroup else "no cgroup: its limit not tried,"
    drill.note = f"peak {peak / MIB:.0f} MiB {place}"
    drill.reckon(check_ledger=False)  # it was read off the API server just now
    assert (pair.watcher.pid, pair.watcher.is_running) == (pid, True)
    assert peak < LIMIT_BYTES
