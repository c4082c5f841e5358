"""etcd restored from an older copy, without `--bump-revision` and with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.drills.drill import Drill
from tests.e2e.conftest import GetPart
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

# What etcd's documentation advises: more than can be written in the age of a copy.
BUMP = 1_000_000_000


def test_etcd_restored_from_an_older_copy(drill: Drill) -> None:
    """Without a bump. History goes back behind the watcher's position: it notices, and starts over.

    What was written before the restore stays in Elasticsearch, though the API server has forgotten
    it. Events that were there at the copy are left alone: a change of one of them could get an id
    that stands for another state already, which no client can tell.
    """
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        drill.sleep(4)
    data = drill.etcd.data
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
    eventually(
        lambda: pair.watcher.metrics().total("eventrouter_relist_total", reason="went_back") == 1,
        timeout=60,
        what="a start over",
    )
    with drill.under_load():
        drill.sleep(6)
        drill.recover()
    drill.reckon(check_ledger=False)


def test_etcd_restored_from_an_older_copy_with_a_bump(
    drill: Drill, part: GetPart, tmp_path: Path
) -> None:
    """All revisions after it are new ones, and all before it count as compacted: no id ever stands
    for two states, also of events that had gone further before the restore.
    """
    etcdutl = part("etcdutl")
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        drill.sleep(4)
    copied_at = drill.client.newest_revision()
    drill.etcd.snapshot(tmp_path / "snapshot.db")
    current = drill.ledger.current(copied_at).values()
    standing = [state.event for state in current if state.event["eventTime"] is None][:40]
    for event in standing[:20]:
        drill.load.patch(event, {"message": "undone"})
    with drill.under_load():
        drill.sleep(4)
        drill.recover()
    drill.ledger.check_against(drill.client)

    drill.apiserver.kill()
    drill.etcd.kill()
    drill.etcd.restore(tmp_path / "snapshot.db", etcdutl=etcdutl, bump_revision=BUMP)
    drill.etcd.start()
    drill.apiserver.start()
    drill.ledger.undo(copied_at)
    eventually(
        lambda: pair.watcher.metrics().total("eventrouter_relist_total", reason="expired") == 1,
        timeout=60,
        what="a list after the gap",
    )
    with drill.under_load():
        for event in standing:
            drill.load.patch(event, {"message": "after the restore"})
        drill.sleep(4)
        drill.recover()
    drill.reckon(check_ledger=False)
    assert pair.watcher.metrics().total("eventrouter_relist_total", reason="went_back") == 0
