"""Elasticsearch down, overloaded, slow and hung."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.bulkproxy import BulkProxy, Mood
from tests.drills.drill import CONFIG, Drill, figure

pytestmark = pytest.mark.e2e

OUTAGE_SECONDS = figure(30, long=600)


@pytest.fixture
def proxy(drill: Drill) -> Iterator[BulkProxy]:
    with BulkProxy(drill.elasticsearch.url, seed=drill.random.randrange(2**32)) as proxy:
        yield proxy


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The project's own, except that in the short form Fluent Bit waits for 20 s at most, between
    two tries in place of 300 s and for an answer in place of 180 s: these waits are most of what
    such a drill takes.
    """
    folder = shutil.copytree(CONFIG.parent, tmp_path / "fluent")
    for file, wait, short in (
        ("pipeline.yaml", "scheduler.cap: 300", "scheduler.cap: 20"),
        ("outputs/elasticsearch.yaml", "net.io_timeout: 180s", "net.io_timeout: 20s"),
    ):
        text = (folder / file).read_text()
        assert wait in text
        (folder / file).write_text(text.replace(wait, figure(short, long=wait)))
    return folder / CONFIG.name


def test_elasticsearch_down(drill: Drill, config: Path) -> None:
    """Killed, and started again."""
    pair = drill.pair(config=config)
    drill.follow(pair)
    with drill.under_load():
        drill.sleep(3)
        drill.elasticsearch.kill()
        drill.sleep(OUTAGE_SECONDS)
        drill.elasticsearch.start()
        drill.recover()
    drill.reckon()


def test_elasticsearch_overloaded_then_slow_then_hung(
    drill: Drill, proxy: BulkProxy, config: Path
) -> None:
    """It refuses some items of a bulk and some bulks as a whole; then takes its time; then takes
    requests and answers none of them ever, though it has carried out half of them.
    """
    pair = drill.pair(elasticsearch_port=proxy.port, config=config)
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
