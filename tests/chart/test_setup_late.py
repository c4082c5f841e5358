"""Elasticsearch is away when the pod starts: what that does to its index, and how it is mended.

The real watcher, the real Fluent Bit with the chart's config, a real Elasticsearch, and the init
container's command. `DRILLS=long` takes the chart's own times: setup waits 30 s for a server that
is away for 60 s before it starts. The short form has 1 s for both. In both, Fluent Bit tries every
2 s, not after 10 s to five minutes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from eventrouter.standins.apiserver.server import ApiServer
from tests.chart.sinks import wait_for_delivery
from tests.chart.test_setup import local, run
from tests.drills.drill import figure
from tests.integration.cluster import Cluster
from tests.integration.watcher import Watcher
from tests.programs import Elasticsearch
from tests.programs.jars import jdk
from tests.programs.required import required
from tests.support.searchserver import SearchServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e
WAIT_SECONDS = figure(1, long=30)
AWAY_SECONDS = figure(1, long=60)
INDEX = "kube-events-*"


def create(cluster, message):
    """An event of now, which goes into today's index."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    cluster.create(message=message, lastTimestamp=now)


def stored(server):
    return [document.source["event"]["message"] for document in server.documents(INDEX)]


def is_mapped_by_the_template(server):
    (index,) = server.request("GET", f"/{INDEX}").values()
    return index["mappings"].get("dynamic") == "false"


def incomplete(watcher):
    """The metric, and what /readyz says beside it."""
    return watcher.numbers()("setup_incomplete"), watcher.get("/readyz")[1]


def test_an_index_made_before_the_template_is_seen_and_mended(start_sidecar, tmp_path):
    began = time.monotonic()
    home, java = required("elasticsearch"), jdk()
    assert java is not None
    elasticsearch = Elasticsearch(tmp_path / "elasticsearch", home=home, jdk=java)
    reports = tmp_path / "reports"
    reports.mkdir()

    away = run(local(elasticsearch.port, waitSeconds=WAIT_SECONDS), reports)
    assert away.returncode == 0
    assert f"did not answer for {WAIT_SECONDS} s" in away.stderr

    output = {"host": "127.0.0.1", "port": elasticsearch.port, "tls": {"enabled": False}}
    sidecar = start_sidecar({"outputs": {"elasticsearch": output}})
    cluster = Cluster()
    with (
        ApiServer(cluster.store) as apiserver,
        Watcher(
            apiserver,
            sidecar.forward_url,
            tmp_path,
            setup_reports=(reports / "elasticsearch.json",),
        ) as watcher,
    ):
        create(cluster, "while it is away")
        eventually(lambda: watcher.numbers()("events_acked") == 1, what="an ack")
        eventually(
            lambda: time.monotonic() - began > AWAY_SECONDS,
            timeout=AWAY_SECONDS + 10,
            what="the end of the outage",
        )
        value, text = incomplete(watcher)
        assert value == 1
        assert f"the setup of {INDEX} did not complete" in text

        # This Elasticsearch has no lifecycle policies: the front plays them.
        with elasticsearch, SearchServer(upstream=elasticsearch.url) as front:
            wait_for_delivery(sidecar)
            assert stored(elasticsearch) == ["while it is away"]
            assert not is_mapped_by_the_template(elasticsearch)

            # The pod starts anew: the template comes too late for today's index.
            late = run(local(front.port), reports)
            assert late.returncode == 0
            assert "--replace-index deletes it with its events" in late.stdout
            value, text = incomplete(watcher)
            assert value == 1
            assert "made without the template" in text

            # The documented command.
            mended = run(local(front.port, replaceIndex=True), reports)
            assert (mended.returncode, mended.stderr) == (0, "")
            assert incomplete(watcher) == (0, "ok\n")
            create(cluster, "by the template")
            eventually(lambda: watcher.numbers()("events_acked") == 2, what="an ack")
            wait_for_delivery(sidecar)
            assert stored(elasticsearch) == ["by the template"]
            assert is_mapped_by_the_template(elasticsearch)
