"""A list that takes longer than the API server remembers: a thin link, and compaction."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import pytest

from tests.drills.drill import Drill, figure
from tests.drills.kubeconfig import led_to
from tests.drills.relay import ThinLink
from tests.e2e.direct import stored, take_down
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

EVENTS = figure(9_000, long=90_000)
BYTES_A_SECOND = 80_000
COMPACTION_SECONDS = figure(30, long=300)
# What etcd keeps at the most, two intervals of compaction. The list takes longer: one that begins
# anew when its revision is compacted never ends.
KEPT_SECONDS = 2 * COMPACTION_SECONDS


def test_list_slower_than_compaction(drill: Drill) -> None:
    """After a gap: the list ends all the same, the watch begins, and no state since is missing.

    Lost by nature are states that were overwritten before the list came to them; they alone.
    """
    port = urlsplit(drill.apiserver.url).port
    assert port is not None
    drill.compact_every(COMPACTION_SECONDS)
    with ThinLink(port, bytes_a_second=BYTES_A_SECOND) as link:
        pair = drill.pair(kubeconfig=led_to(drill.kubeconfig, link.port))
        drill.follow(pair)
        with drill.under_load(5):
            shipped = drill.recover()
            pair.watcher.kill()
            drill.etcd.put_all(
                [stored(drill.random, f"old-{number}", "old") for number in range(EVENTS)]
            )
            drill.etcd.compact(drill.etcd.revision())
            assert take_down(drill.client, drill.ledger) >= EVENTS
            pair.watcher.start(wait=False)
            began = time.monotonic()
            eventually(
                lambda: pair.watcher.said("resumed_at") == 1,
                timeout=60,
                what="the oldest revision that is left",
            )
            expired = pair.watcher.metrics().total("eventrouter_list_total", result="expired")
            eventually(
                lambda: pair.watcher.said("Listed the events") == 2,
                timeout=figure(300, long=1800),
                interval=0.5,
                what="a list that came to its end",
            )
            listed = drill.client.newest_revision()
            seconds = time.monotonic() - began
            drill.note = f"the list took {seconds:.0f} s"
            assert seconds > KEPT_SECONDS
            log = map(json.loads, pair.watcher.log_path.read_text().splitlines())
            (resumed_at,) = (int(line["resumed_at"]) for line in log if "resumed_at" in line)
            drill.gaps[shipped] = resumed_at
            drill.slow_lists[shipped] = listed
            # An update that came before the list had shown its event has no old state.
            drill.blurs.append((resumed_at, listed))
            drill.sleep(3)
            drill.recover()
        drill.reckon()
    metrics = pair.watcher.metrics()
    assert metrics.total("eventrouter_relist_total", reason="expired") == 1
    assert metrics.total("eventrouter_list_total", result="expired") > expired
    assert metrics.total("eventrouter_events_received_total") < 1.1 * len(drill.ledger.states)
