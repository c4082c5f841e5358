"""The status page in a real browser: what it shows is what /metrics says."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.pair import PodWatcher
from tests.e2e.conftest import GetPart
from tests.e2e.ledger import Ledger
from tests.e2e.load import Load
from tests.e2e.statuspage import COUNTS, StatusPage, expected
from tests.integration.numbers import http_get
from tests.programs import ApiServer, FluentBit
from tests.programs.apiserver import READ_EVENTS
from tests.programs.browser import Browser
from tests.programs.required import required
from tests.support.metrics import Samples
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
LEASES = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
          "verbs": ["create", "get", "update"]}  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(required("chromium"), tmp_path) as opened:
        yield opened


@pytest.fixture
def fluent_bit(part: GetPart, tmp_path: Path) -> Iterator[FluentBit]:
    config = ROOT / "fluent" / "stdout.yaml"
    with FluentBit(tmp_path / "sidecar", binary=part("fluent-bit"), config=config) as sidecar:
        yield sidecar


@pytest.fixture
def replicas(
    browser: Browser, apiserver: ApiServer, fluent_bit: FluentBit, tmp_path: Path
) -> Iterator[tuple[PodWatcher, PodWatcher]]:
    """A leader, and a standby that has not been started. The browser is looked for first."""
    kubeconfig = apiserver.kubeconfig_for("replica", [READ_EVENTS, LEASES])
    leader, standby = (
        PodWatcher(
            tmp_path / pod,
            pod=pod,
            kubeconfig=kubeconfig,
            forward=fluent_bit.forward_url,
            checkpoint="lease:default/eventrouter",
            buffer_path=fluent_bit.buffer_path,
        )
        for pod in ("a", "b")
    )
    with leader:
        yield leader, standby
    standby.kill()


@pytest.fixture
def load(apiserver: ApiServer) -> Load:
    return Load(apiserver.client, Ledger(), seed=1)


def agree(page: StatusPage, watcher: PodWatcher) -> None:
    """Wait until the page shows what the metrics say; it reads them every two seconds."""
    eventually(
        lambda: page.figures().items() >= expected(watcher.metrics()).items(),
        timeout=30,
        what="figures like those of /metrics",
    )


def await_rest(watcher: PodWatcher, *, received: int = 0) -> None:
    """Wait until it has got so many events, and all that it got is delivered and written down."""

    def is_delivered() -> bool:
        metrics = watcher.metrics()
        totals = {metrics.total(f"eventrouter_events_{name}_total") for name in COUNTS}
        positions = [
            metrics.total("eventrouter_position", reached=word) for word in ("acked", "delivered")
        ]
        is_one = len(totals) == 1 and positions[0] == positions[1] > 0
        return is_one and totals.pop() >= received

    eventually(is_delivered, timeout=60, what="all events delivered")


def test_during_the_demo_it_counts_as_the_metrics_do(browser: Browser, tmp_path: Path) -> None:
    """And its script and style are all that its policy has to allow."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "eventrouter", "demo", "--format", "json"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stderr
    with demo:
        try:
            found = re.fullmatch(r"Status page: (http://\S+)/\n", demo.stderr.readline())
            assert found
            page = StatusPage(browser, found[1])
            for _ in range(3):
                before = Samples(http_get(f"{found[1]}/metrics")[1])
                page.look_again()
                shown = page.counts()
                after = Samples(http_get(f"{found[1]}/metrics")[1])
                for name in COUNTS:
                    total = f"eventrouter_events_{name}_total"
                    assert before.total(total) <= shown[name] <= after.total(total)
            eventually(lambda: re.match(r"[1-9]", page.figures()["watch-rate"]), timeout=20)
            assert page.figures()["verdict"] == "Ready"
            assert page.figures()["trouble-list"] == "None since this watcher started."
            page.pictures(tmp_path, "demo")
            assert not page.is_wider_than_the_window()
            assert page.violations() == []
        finally:
            demo.send_signal(signal.SIGINT)
            demo.stderr.read()


def test_at_rest_each_figure_is_that_of_the_metrics(
    browser: Browser, replicas: tuple[PodWatcher, PodWatcher], load: Load
) -> None:
    leader, _ = replicas
    load.run(1200, most_updates=0, deleted=0)
    await_rest(leader, received=1200)
    page = StatusPage(browser, leader.url)

    agree(page, leader)

    figures = page.figures()
    received = leader.metrics().total("eventrouter_events_received_total")
    assert received >= 1200  # the API server may have written one of its own
    assert figures["received-total"] == f"{received:,.0f}"
    assert (figures["verdict"], figures["role"]) == ("Ready", "leads")
    assert re.fullmatch(r"\d+ s ago", figures["lease-age"])
    assert re.fullmatch(r"\d+ s ago", figures["delivered-age"])


def test_an_outage_of_the_sidecar_shows_at_once_and_so_does_its_end(
    browser: Browser,
    replicas: tuple[PodWatcher, PodWatcher],
    fluent_bit: FluentBit,
    load: Load,
    tmp_path: Path,
) -> None:
    """In words, and in what waits; long before /readyz turns red."""
    leader, _ = replicas
    load.stand(50)
    await_rest(leader, received=50)
    page = StatusPage(browser, leader.url)

    fluent_bit.kill()
    load.run(30)
    eventually(lambda: page.figures()["verdict"] == "Ready, with troubles", timeout=30)
    agree(page, leader)
    figures = page.figures()
    assert int(figures["queued"]) + int(figures["in-flight"]) > 0
    assert "Sending to Fluent Bit: the connection failed: " in figures["trouble-list"]
    page.pictures(tmp_path, "outage")

    fluent_bit.start()
    await_rest(leader)
    eventually(lambda: page.figures()["verdict"] == "Ready", timeout=60)
    agree(page, leader)
    assert page.violations() == []


def test_a_watcher_that_is_gone_is_not_shown_as_if_it_were_there(
    browser: Browser, replicas: tuple[PodWatcher, PodWatcher], tmp_path: Path
) -> None:
    leader, _ = replicas
    page = StatusPage(browser, leader.url)

    leader.kill()

    eventually(lambda: "No answer from the watcher for" in page.figures()["verdict"], timeout=20)
    page.pictures(tmp_path, "gone")


def test_a_standby_says_who_leads(
    browser: Browser, replicas: tuple[PodWatcher, PodWatcher], load: Load, tmp_path: Path
) -> None:
    leader, standby = replicas
    load.stand(20)
    await_rest(leader, received=20)
    standby.start()
    page = StatusPage(browser, standby.url)

    eventually(lambda: page.figures()["verdict"] == "Standing by", timeout=20)
    figures = page.figures()
    assert figures["role"] == "stands by: eventrouter-a leads"
    assert figures["received-total"] == "0"
    assert figures["events-age"] == "not followed"
    page.pictures(tmp_path, "standby")

    leader.stop()
    eventually(lambda: page.figures()["role"] == "leads", timeout=30)
    assert page.violations() == []
