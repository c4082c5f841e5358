"""Alerts over what a real pair and a real API server showed while something was wrong."""

from __future__ import annotations

import math
from contextlib import ExitStack
from itertools import count

import pytest

from tests.chart.promtool import check_firing, write_rules
from tests.chart.recording import TARGET, Recording
from tests.programs import Watcher
from tests.support.events import event_to_write
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

LEASE_RULES = {
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "verbs": ["get", "create", "update"],
}
AN_HOUR = 3600.0


@pytest.fixture
def record(cluster, start_sidecar, tmp_path):
    """Starts a pair as the chart sets it up, and a recording of it. `write` writes an event."""
    name = tmp_path.name.replace("_", "-")
    numbers = count()

    def write():
        event = event_to_write(f"{name}.{next(numbers)}", namespace="team-a")
        cluster.client.create_event(event)

    with ExitStack() as started:

        def start(outputs, *, kubeconfig=None):
            values = {"outputs": outputs}
            sidecar = start_sidecar(values)
            watcher = Watcher(
                tmp_path / "watcher",
                kubeconfig=kubeconfig or cluster.kubeconfig,
                forward=sidecar.forward_url,
                checkpoint=f"lease:logging/{name}",
                buffer_path=sidecar.buffer_path,
            )
            watcher.start(wait=False)
            started.callback(watcher.kill)
            eventually(
                lambda: _value(watcher, "eventrouter_leading") == 1, timeout=60, what="a leader"
            )
            recording = Recording(
                watcher.metrics_url,
                f"http://127.0.0.1:{sidecar.http_port}/api/v2/metrics/prometheus",
            )
            return recording, write, sidecar, watcher

        yield start


def _value(watcher, name):
    try:
        return watcher.metrics().total(name)
    except RuntimeError:
        return None


def _chunks(watcher, outputs):
    """How many chunks wait, by the metric; 0 while it does not know."""
    waiting = watcher.metrics().total("eventrouter_buffer_chunks", outputs=outputs)
    return 0 if math.isnan(waiting) else waiting


def alert(alert_name, severity, **labels):
    return {"alertname": alert_name, "severity": severity, "cluster": TARGET["cluster"], **labels}


def check(tmp_path, recording, expected):
    series = recording.series(going_on_seconds=AN_HOUR)
    check_firing(
        write_rules(tmp_path),
        series,
        {recording.seconds: [], recording.seconds + AN_HOUR - 60: expected},
        interval_seconds=recording.interval_seconds,
    )


def test_outputs_that_are_down_are_named_and_nothing_else_is(record, tmp_path):
    dead = {"type": "http", "host": "127.0.0.1", "port": free_port(), "tls": {"enabled": False}}
    recording, write, _, watcher = record(
        {"elasticsearch": None, "needed": {**dead, "required": True}, "hook": dead}
    )
    recording.record_until(
        lambda: all(_chunks(watcher, outputs) for outputs in ("required", "optional")),
        meanwhile=write,
        what="chunks that wait for both outputs",
    )
    recording.turn()
    recording.record(15, meanwhile=write)
    failing = [
        alert("EventrouterOutputFailing", "warning", name=name) for name in ("needed", "hook")
    ]
    stalled = [
        alert("EventrouterDeliveryStalled", "warning", outputs=outputs)
        for outputs in ("required", "optional")
    ]
    check(tmp_path, recording, failing + stalled)


def test_an_api_server_that_is_away_pages_once(record, cluster, tmp_path):
    recording, write, _, watcher = record({"elasticsearch": None})
    recording.record(5, meanwhile=write)
    cluster.freeze()
    try:
        recording.record_until(
            lambda: _value(watcher, "eventrouter_leading") == 0, what="no leader"
        )
        recording.turn()
        recording.record(15)
    finally:
        cluster.thaw()
    check(tmp_path, recording, [alert("EventrouterNoLeader", "critical")])


def test_a_lost_right_to_events_is_seen(record, cluster, tmp_path):
    kubeconfig = cluster.kubeconfig_for("without-events", [LEASE_RULES])
    recording, _, _, _ = record({"elasticsearch": None}, kubeconfig=kubeconfig)
    recording.record(35)  # long enough for a heartbeat of the link to Fluent Bit
    check(tmp_path, recording, [alert("EventrouterApiServerSilent", "critical")])


def test_a_sidecar_that_hangs_is_seen(record, tmp_path):
    recording, write, sidecar, watcher = record({"elasticsearch": None})
    recording.record(5, meanwhile=write)
    recording.record_until(
        lambda: _chunks(watcher, "required") == 0 and not sidecar.chunk_files(),
        what="an empty buffer",
    )
    sidecar.freeze()
    recording.turn()
    recording.record(15, meanwhile=write)
    sidecar.thaw()
    check(tmp_path, recording, [alert("EventrouterSidecarSilent", "critical")])
