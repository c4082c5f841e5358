"""Every expression of the health dashboard, run by Prometheus' own engine over a real pair.

The pair has an output that is down and the options that are off by default, so that there is
something to show.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eventrouter.ops.setup_report import SetupReport
from tests.chart.recording import Recording
from tests.dashboards.promql import check_answers, expressions, without_threshold
from tests.e2e.conftest import CONFIG, GetPart
from tests.programs import ApiServer, FluentBit, Watcher
from tests.support.events import event_to_write
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e
DASHBOARD = Path(__file__).parents[2] / "dashboards" / "grafana" / "eventrouter.json"
RECORDED_SECONDS = 20


def test_every_expression_has_an_answer(
    apiserver: ApiServer, part: GetPart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.chart.recording._IGNORED", ("python_",))
    asked = expressions(json.loads(DASHBOARD.read_text()), interval="10s")
    dead = {"ES_HOST": "127.0.0.1", "ES_PORT": str(free_port()), "ES_TLS": "off"}
    sidecar = FluentBit(
        tmp_path / "fluent-bit", binary=part("fluent-bit"), config=CONFIG, variables=dead
    )
    report = tmp_path / "elasticsearch.json"
    SetupReport("kube-events-*", False, ("the login may not",)).write(report)
    with sidecar:
        watcher = Watcher(
            tmp_path / "watcher",
            kubeconfig=apiserver.kubeconfig,
            forward=sidecar.forward_url,
            checkpoint="lease:team-a/eventrouter",
            buffer_path=sidecar.buffer_path,
            options=[
                *("--count-events", "true"),
                *("--enrich", "Namespace"),
                *("--setup-reports", str(report)),
            ],
        )
        with watcher:
            for number in range(5):
                name = f"health.{number}"
                apiserver.client.create_event(event_to_write(name, namespace="team-a"))
            eventually(lambda: watcher.acked() >= 5, timeout=60)
            recording = Recording(
                watcher.metrics_url,
                f"http://127.0.0.1:{sidecar.http_port}/api/v2/metrics/prometheus",
            )
            recording.record(RECORDED_SECONDS)
    check_answers(
        tmp_path,
        [without_threshold(expression) for _, expression in asked],
        recording.series(going_on_seconds=1),
        interval_seconds=recording.interval_seconds,
        at_seconds=RECORDED_SECONDS - 1,
    )
