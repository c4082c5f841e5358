"""Links that go silent without closing, both ends of which answer keepalives."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from tests.drills.drill import Drill, figure
from tests.drills.kubeconfig import led_to
from tests.drills.relay import Relay
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

PROMISED_SECONDS = 120


@pytest.mark.parametrize("silent", figure(["api+sidecar"], long=["api", "sidecar", "api+sidecar"]))
def test_link_gone_silent(drill: Drill, silent: str) -> None:
    """/readyz names it within two minutes, /livez stays green, and once the link is healed
    everything arrives without a restart.
    """
    port = urlsplit(drill.apiserver.url).port
    assert port is not None
    with Relay(port) as api, Relay(free_port()) as sidecar:
        pair = drill.pair(
            kubeconfig=led_to(drill.kubeconfig, api.port),
            forward=f"tcp://127.0.0.1:{sidecar.port}",
        )
        sidecar.target = pair.fluent_bit.forward_port
        links = {"api": (api, "events: silent"), "sidecar": (sidecar, "sidecar: silent")}
        cases = [links[name] for name in silent.split("+")]
        drill.compaction.end()  # it takes longer to notice than the short form keeps history
        drill.follow(pair)
        pid = pair.watcher.pid

        with drill.under_load(20):
            drill.sleep(3)
            began = time.monotonic()
            for relay, _ in cases:
                relay.silence()
            said = ""

            def all_are_named() -> bool:
                nonlocal said
                status, said = pair.watcher.readyz()
                return status == 503 and all(name in said for _, name in cases)

            # Some seconds for the question: the promise is about the watcher, not about asking.
            eventually(
                all_are_named, timeout=PROMISED_SECONDS + 10, interval=1, what="a red /readyz"
            )
            drill.note = f"noticed after {time.monotonic() - began:.0f} s"
            assert pair.watcher.livez()[0] == 200
            for relay, _ in cases:
                relay.heal()
            drill.recover()
            eventually(pair.watcher.is_ready, timeout=30, what="a green /readyz")
        drill.reckon()
        assert (pair.watcher.pid, pair.watcher.is_running) == (pid, True)
