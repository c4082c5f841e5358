"""Both programs killed and stopped, again and again, at random moments of a steady load."""

from __future__ import annotations

from functools import partial

import pytest

from tests.drills.drill import Drill, figure
from tests.programs import FluentBit
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

TIMES = figure(5, long=20)


def test_watcher_killed(drill: Drill) -> None:
    """At times before it was ready again."""
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        for _ in range(TIMES):
            drill.sleep(0.5, 4)
            pair.watcher.kill()
            drill.sleep(0, 1.5)
            pair.watcher.start(wait=False)
        drill.recover()
    drill.reckon()


def test_watcher_told_to_stop(drill: Drill) -> None:
    """SIGTERM: it ends well each time."""
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        for _ in range(TIMES):
            drill.sleep(0.5, 3)
            assert pair.watcher.stop() == 0, pair.watcher.log_tail()
            drill.sleep(0, 1)
            pair.watcher.start()
        drill.recover()
    drill.reckon()


def test_sidecar_killed_between_ack_and_flush(drill: Drill) -> None:
    """What it holds at that moment is acknowledged and delivered to nobody."""
    pair = drill.pair(variables={"FLUSH": "3"})
    drill.follow(pair)
    with drill.under_load():
        for _ in range(TIMES):
            drill.sleep(0, 3)
            eventually(partial(freeze_with_a_chunk, pair.fluent_bit), what="an acked chunk")
            pair.fluent_bit.kill()
            assert pair.fluent_bit.chunk_files()
            drill.sleep(0, 1.5)
            pair.fluent_bit.start()
        drill.recover()
    drill.reckon()


def freeze_with_a_chunk(fluent_bit: FluentBit) -> bool:
    """Whether it stands still now, with a chunk that it has not delivered."""
    fluent_bit.freeze()
    if fluent_bit.chunk_files():
        return True
    fluent_bit.thaw()
    return False


def test_both_killed(drill: Drill) -> None:
    """As when all containers of a pod are restarted on the same disk."""
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        for _ in range(TIMES):
            drill.sleep(0.5, 4)
            pair.kill()
            drill.sleep(0, 1.5)
            pair.fluent_bit.start()
            pair.watcher.start(wait=False)
        drill.recover()
    drill.reckon()
