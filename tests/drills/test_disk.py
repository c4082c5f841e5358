"""The sidecar's disk: full, freed again, and shared with an output that is dead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.drills.disk import MIB, SmallDisk, mounted
from tests.drills.drill import CONFIG, RECOVERY_SECONDS, Drill, figure
from tests.drills.pair import Pair
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

DISK_MIB = 2
FULL_SECONDS = figure(5, long=120)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk", mebibytes=DISK_MIB) as disk:
        yield disk


def test_disk_full_and_freed_again(disk: SmallDisk, drill: Drill) -> None:
    """Filled by what Elasticsearch doesn't take, then by a neighbour: Fluent Bit acknowledges
    nothing that it has no room for, and the watcher waits.
    """
    pair = drill.pair(buffer_path=disk.path / "buffer")
    drill.follow(pair)
    with drill.under_load(100):
        drill.elasticsearch.freeze()
        wait_until_refused(pair)
        drill.note = f"full with {len(pair.fluent_bit.chunk_files())} chunks"
        drill.sleep(FULL_SECONDS)
        drill.elasticsearch.thaw()
        drill.recover()
        wait_until_refused(pair, meanwhile=disk.fill)
        drill.sleep(FULL_SECONDS)
        disk.relieve()
        drill.recover()
    drill.reckon(timeout=30)
    # Chunks that were begun on the full disk and got nothing into them stay for as long as this
    # Fluent Bit runs. They are not waited for.
    eventually(drill.is_sealed, timeout=30, what="all delivered, by the checkpoint")


def wait_until_refused(pair: Pair, *, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until the sidecar has cut the link, since now, rather than acknowledge."""

    def refused() -> float:
        meanwhile()  # what is delivered makes room again
        return pair.watcher.metrics().total("eventrouter_errors_total", stage="sending")

    before = refused()
    eventually(
        lambda: refused() > before + 2,
        timeout=RECOVERY_SECONDS,
        what="frames that are not acknowledged",
    )
    assert pair.watcher.metrics().total("eventrouter_events_in_flight") > 0


def test_optional_sink_dead_all_the_time(disk: SmallDisk, drill: Drill, tmp_path: Path) -> None:
    """Elasticsearch gets everything, and more than the disk would hold; what the dead sink's limit
    drops is counted.
    """
    config = tmp_path / "dead-sink.yaml"
    config.write_text(
        f"includes:\n  - {CONFIG}\n"
        "pipeline:\n  outputs:\n"
        "    - name: http\n      alias: dead\n      match: '*'\n"
        f"      host: 127.0.0.1\n      port: {free_port()}\n"
        f"      retry_limit: no_limits\n      storage.total_limit_size: {DISK_MIB * MIB // 10}\n"
    )
    pair = drill.pair(config=config, buffer_path=disk.path / "buffer")
    drill.follow(pair, until_idle=False)
    with drill.under_load(100):
        eventually(
            lambda: received_bytes(pair) > 1.5 * DISK_MIB * MIB,
            timeout=RECOVERY_SECONDS,
            interval=1,
            what="more than the disk holds",
        )
        drill.recover()
    counted = dropped(pair, "dead")
    drill.note = f"the dead sink dropped {counted:.0f}"
    drill.reckon(when_idle=False)
    assert counted > 0
    assert dropped(pair, "elasticsearch") == 0


def received_bytes(pair: Pair) -> float:
    """What the sidecar's input has taken in."""
    return _counted(pair, "fluentbit_input_bytes_total", "watcher")


def dropped(pair: Pair, output: str) -> float:
    """How many records Fluent Bit says that this output has dropped."""
    return _counted(pair, "fluentbit_output_dropped_records_total", output)


def _counted(pair: Pair, metric: str, name: str) -> float:
    url = f"http://127.0.0.1:{pair.fluent_bit.http_port}/api/v2/metrics/prometheus"
    text = urllib3.request("GET", url).data.decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and sample.labels.get("name") == name
    )
