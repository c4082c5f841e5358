"""Another buffer than before: lost with all it held, or given up in good order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.drills.drill import CONFIG, Drill, figure
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

OUTAGE_SECONDS = figure(30, long=600)


def test_pair_gone_with_its_buffer_while_elasticsearch_is_down(drill: Drill) -> None:
    """As when a pod is deleted: what it had acknowledged and not delivered comes again, as far as
    the API server still has it.
    """
    old = drill.pair("old")
    drill.follow(old)
    with drill.under_load():
        drill.sleep(5)
        drill.elasticsearch.freeze()
        drill.sleep(OUTAGE_SECONDS)
        eventually(
            lambda: len(old.fluent_bit.chunk_files()) > 1, timeout=30, what="undelivered chunks"
        )
        old.kill()
        shutil.rmtree(old.fluent_bit.buffer_path)
        drill.compaction.end()
        position = drill.delivered()
        if drill.compaction.revision > position:
            drill.gaps[position] = drill.compaction.revision
        new = drill.pair("new")
        new.start()
        drill.elasticsearch.thaw()
        drill.recover()
    drill.reckon()
    assert new.watcher.said("Following events") == 1
    assert new.watcher.said("listing everything anew") == 0


def test_planned_restart_with_a_new_buffer(drill: Drill, tmp_path: Path) -> None:
    """SIGTERM in the order of a pod, a new pod with an empty volume: nothing is repeated, even on
    stdout and in a file, which know no ids.
    """
    config = tmp_path / "file.yaml"
    config.write_text(
        f"includes:\n  - {CONFIG}\n"
        "pipeline:\n  outputs:\n"
        "    - name: file\n      match: '*'\n      format: plain\n"
        f"      path: {tmp_path}\n      file: events.json\n"
    )
    pairs = [drill.pair("pod-0", config=config)]
    drill.follow(pairs[0])
    with drill.under_load():
        for number in range(1, figure(3, long=10)):
            drill.sleep(3, 6)
            pairs[-1].stop()
            pairs.append(drill.pair(f"pod-{number}", config=config))
            pairs[-1].start()
        drill.recover()
    drill.reckon()
    pairs[-1].stop()
    written = sorted(state.id for state in drill.ledger.states)
    strangers = drill.ledger.strangers(drill.client)
    shown = [id_ for pair in pairs for id_ in pair.shown().elements()]
    lines = (tmp_path / "events.json").read_text().rstrip("\n").split("\n")
    for found in (shown, [json.loads(line)["id"] for line in lines]):
        assert sorted(id_ for id_ in found if id_.rpartition("-")[0] not in strangers) == written
