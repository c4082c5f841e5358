"""A soak: one fault after the other while one watcher runs, whose memory and files stay flat."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.drills.drill import Drill, figure
from tests.drills.kubeconfig import led_to
from tests.drills.relay import Relay

pytestmark = pytest.mark.e2e

SECONDS = figure(300, long=3600)
RATE = figure(100, long=200)
FAULT_EVERY = figure(20, long=60)
WARM_UP = figure(60, long=600)
MIB = 2**20


def test_soak(drill: Drill) -> None:
    """Faults of everything but the watcher, in a random order, each as often as the others."""
    port = urlsplit(drill.apiserver.url).port
    assert port is not None
    with Relay(port) as relay:
        # Its cache of old states is full by the end of the warm-up.
        pair = drill.pair(
            kubeconfig=led_to(drill.kubeconfig, relay.port),
            options=["--old-event-cache", figure("2MiB", long="16MiB")],
        )
        drill.follow(pair)
        watcher = pair.watcher
        pid = watcher.pid

        def sidecar_restarted() -> None:
            pair.fluent_bit.kill()
            drill.sleep(0, 3)
            pair.fluent_bit.start()

        def sidecar_frozen() -> None:
            pair.fluent_bit.freeze()
            drill.sleep(3, 6)
            pair.fluent_bit.thaw()

        def api_server_restarted() -> None:
            drill.apiserver.kill()
            drill.sleep(0, 3)
            drill.apiserver.start()

        def elasticsearch_frozen() -> None:
            drill.elasticsearch.freeze()
            drill.sleep(3, 6)
            drill.elasticsearch.thaw()

        def link_silent() -> None:
            relay.silence()
            drill.sleep(3, 6)
            relay.heal()

        faults: list[Callable[[], None]] = [
            sidecar_restarted,
            sidecar_frozen,
            api_server_restarted,
            elasticsearch_frozen,
            link_silent,
            relay.cut,
        ]
        samples: list[tuple[int, int]] = []
        due: list[Callable[[], None]] = []
        with drill.under_load(RATE):
            began = time.monotonic()
            next_fault = began + FAULT_EVERY
            while (now := time.monotonic()) < began + SECONDS:
                if now >= began + WARM_UP:
                    samples.append((watcher.memory_bytes(), watcher.open_files()))
                if now >= next_fault:
                    due = due or drill.random.sample(faults, len(faults))
                    fault = due.pop()
                    print(f"after {now - began:.0f} s: {getattr(fault, '__name__', fault)}")
                    fault()
                    next_fault = time.monotonic() + FAULT_EVERY
                    assert watcher.livez()[0] == 200
                drill.sleep(1)
            drill.recover()
        memory, files = zip(*samples, strict=True)
        drill.note = (
            f"the watcher: {min(memory) / MIB:.0f} to {max(memory) / MIB:.0f} MiB, "
            f"{min(files)} to {max(files)} open files"
        )
        drill.reckon(check_ledger=figure(True, long=False))  # in the long form events expire

    assert (watcher.pid, watcher.is_running) == (pid, True)
    half = len(samples) // 2
    assert max(memory[half:]) < max(memory[:half]) + 16 * MIB
    assert max(files) < 40
    assert min(files[half:]) <= min(files[:half]) + 2
