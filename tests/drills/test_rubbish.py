"""Rubbish on the wire: whatever comes, nothing is lost, and the watcher goes on."""

from __future__ import annotations

import pytest

from tests.drills.drill import Drill, figure
from tests.drills.kubeconfig import led_to
from tests.drills.rubbish import RubbishAcks, RubbishApi
from tests.e2e.load import NAMESPACES
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

SEED = 20_261_122


def test_rubbish_on_both_links(drill: Drill) -> None:
    """Watches cut and damaged anywhere, errors of every code, bookmarks where none belong; acks
    split at every byte, late, doubled, wrong, lost, and answers that are none.
    """
    times = figure(1, long=5)
    with (
        RubbishApi(drill.apiserver, seed=SEED, times=times) as api,
        RubbishAcks(free_port(), seed=SEED, times=times) as acks,
    ):
        pair = drill.pair(
            kubeconfig=led_to(drill.kubeconfig, api.port),
            forward=f"tcp://127.0.0.1:{acks.port}",
            # A watch for each, so that more can go wrong in the same time.
            options=[f"--namespace={namespace}" for namespace in NAMESPACES],
        )
        acks.target = pair.fluent_bit.forward_port
        drill.follow(pair)
        pid = pair.watcher.pid
        with drill.under_load():
            eventually(
                lambda: api.plan.is_over and acks.plan.is_over,
                timeout=400 * times,
                interval=0.5,
                what="all the rubbish that was planned",
            )
            assert pair.watcher.livez()[0] == 200
            drill.recover()
        drill.note = f"{api.plan.done.total()} on the watch, {acks.plan.done.total()} on the acks"
        drill.reckon()
        assert (pair.watcher.pid, pair.watcher.is_running) == (pid, True)
        print(f"on the watch: {dict(api.plan.done)}; on the acks: {dict(acks.plan.done)}")
