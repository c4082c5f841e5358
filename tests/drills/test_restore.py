"""etcd restored from an older copy, as it is done without `--bump-revision`."""

from __future__ import annotations

import shutil

import pytest

from tests.drills.drill import Drill
from tests.e2e.parts import wait_until

pytestmark = pytest.mark.e2e


def test_etcd_restored_from_an_older_copy(drill: Drill) -> None:
    """History goes back behind the watcher's position: it notices, and starts over.

    What was written before the restore stays in Elasticsearch, though the API server has forgotten
    it. Events that were there at the copy are left alone: a change of one of them could get an id
    that stands for another state already, which no client can tell.
    """
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        drill.sleep(4)
    data = drill.etcd.directory / "data"
    copy = data.with_name("copy")
    drill.apiserver.kill()
    drill.etcd.kill()
    shutil.copytree(data, copy)
    drill.etcd.start()
    drill.apiserver.start()
    with drill.under_load():
        drill.sleep(6)
        drill.recover()
    drill.ledger.check_against(drill.client)

    drill.apiserver.kill()
    drill.etcd.kill()
    shutil.rmtree(data)
    copy.rename(data)
    drill.etcd.start()
    drill.apiserver.start()
    wait_until(
        lambda: pair.watcher.metrics().total("eventrouter_relist_total", reason="went_back") == 1,
        timeout=60,
        what="a start over",
    )
    with drill.under_load():
        drill.sleep(6)
        drill.recover()
    drill.reckon(check_ledger=False)
