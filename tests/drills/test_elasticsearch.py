"""Elasticsearch down, overloaded, slow and hung; and a sink beside it that is dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.drills.bulkproxy import BulkProxy, Mood
from tests.drills.drill import CONFIG, Drill, figure
from tests.e2e.parts import free_port

pytestmark = pytest.mark.e2e

OUTAGE_SECONDS = figure(20, long=600)


@pytest.fixture
def proxy(drill: Drill) -> Iterator[BulkProxy]:
    with BulkProxy(drill.elasticsearch.url, seed=drill.random.randrange(2**32)) as proxy:
        yield proxy


def test_elasticsearch_down(drill: Drill) -> None:
    """Killed, and started again."""
    pair = drill.pair()
    drill.follow(pair)
    with drill.under_load():
        drill.sleep(3)
        drill.elasticsearch.kill()
        drill.sleep(OUTAGE_SECONDS)
        drill.elasticsearch.start()
        drill.recover()
    drill.reckon()


def test_elasticsearch_overloaded_then_slow_then_hung(drill: Drill, proxy: BulkProxy) -> None:
    """It refuses some items of a bulk and some bulks as a whole; then takes its time; then takes
    requests and answers none of them ever, though it has carried out half of them.
    """
    pair = drill.pair(elasticsearch_port=proxy.port)
    drill.follow(pair)
    with drill.under_load():
        for mood in (Mood.BUSY, Mood.SLOW, Mood.HUNG):
            proxy.mood = mood
            drill.sleep(figure(12, long=60))
        proxy.mood = Mood.WELL
        drill.recover()
    drill.reckon()
    assert proxy.refused > 0
    assert proxy.hung > 1


def test_optional_sink_dead_all_the_time(drill: Drill, tmp_path: Path) -> None:
    """Elasticsearch gets everything; what the dead sink's limit drops is counted."""
    config = tmp_path / "dead-sink.yaml"
    config.write_text(
        f"includes:\n  - {CONFIG}\n"
        "pipeline:\n  outputs:\n"
        "    - name: http\n      alias: dead\n      match: '*'\n"
        f"      host: 127.0.0.1\n      port: {free_port()}\n"
        "      retry_limit: no_limits\n      storage.total_limit_size: 300K\n"
    )
    pair = drill.pair(config=config)
    drill.follow(pair, until_idle=False)
    with drill.under_load():
        drill.sleep(figure(30, long=600))
        drill.recover()
    drill.reckon(when_idle=False)
    assert dropped(pair.fluent_bit.http_port, "dead") > 0
    assert dropped(pair.fluent_bit.http_port, "elasticsearch") == 0


def dropped(http_port: int, output: str) -> float:
    """How many records Fluent Bit says that this output has dropped."""
    url = f"http://127.0.0.1:{http_port}/api/v2/metrics/prometheus"
    text = urllib3.request("GET", url).data.decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "fluentbit_output_dropped_records_total"
        and sample.labels.get("name") == output
    )
