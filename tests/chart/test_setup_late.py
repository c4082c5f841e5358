"""Elasticsearch was away when the pod started: what that does to its index, and how to mend it.

A real Elasticsearch, the real Fluent Bit with the chart's config, and the init container's command.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from tests.chart.sinks import send, wait_for_delivery
from tests.chart.test_setup import local, run
from tests.programs import Elasticsearch
from tests.programs.jars import jdk
from tests.programs.required import required
from tests.support.searchserver import SearchServer

pytestmark = pytest.mark.e2e


def send_event_of_today(sidecar, number):
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    metadata = {"uid": "late", "creationTimestamp": now, "managedFields": []}
    send(sidecar, [{"lastTimestamp": now}], first=number, metadata=metadata)


def test_an_index_made_before_the_template_is_named_and_mended(start_sidecar, tmp_path):
    home, java = required("elasticsearch"), jdk()
    assert java is not None
    server = Elasticsearch(tmp_path / "elasticsearch", home=home, jdk=java)
    away = run(local(server.port))
    assert away.returncode == 0
    assert "did not answer for 1 s" in away.stderr

    output = {"host": "127.0.0.1", "port": server.port, "tls": {"enabled": False}}
    sidecar = start_sidecar({"outputs": {"elasticsearch": output}})
    send_event_of_today(sidecar, 1)
    # This Elasticsearch has no lifecycle policies: the front plays them.
    with server, SearchServer(upstream=server.url) as front:
        wait_for_delivery(sidecar)
        late = run(local(front.port))
        assert late.returncode == 0
        assert re.search(r"(?m)^created +index template kube-events", late.stdout)
        (command,) = re.findall(r"(?m)^left +index kube-events-.*: curl -X (.*)$", late.stdout)

        method, url = command.split()
        server.request(method, urlsplit(url).path)
        send_event_of_today(sidecar, 2)
        wait_for_delivery(sidecar)
        assert [document.id for document in server.documents("kube-events-*")] == ["late-2"]
        mended = run(local(front.port))
        assert re.search(r"(?m)^unchanged +index kube-events-", mended.stdout)
        assert mended.stderr == ""
