"""The bench measures what it says: its cluster is a real stream, its papers are well-formed."""

from __future__ import annotations

import json
import math
import time
from typing import Any
from xml.etree import ElementTree

import pytest
import urllib3

from tests.bench.lease import LeaseServer
from tests.bench.plots import Axis, plot, plots
from tests.bench.replay import BASE_REVISION, Replay
from tests.bench.report import table
from tests.support.clock import FakeClock

ENOUGH = 2000


def stream(replay: Replay, start: int, end: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in replay.lines(start, end).splitlines()]


def test_each_state_of_the_stream_has_a_revision_of_its_own_in_order() -> None:
    replay = Replay(standing=0, length=ENOUGH, rate=0, updates=True)

    states = [change["object"]["metadata"] for change in stream(replay, 0, ENOUGH)]

    revisions = [int(state["resourceVersion"]) for state in states]
    assert revisions == list(range(BASE_REVISION + 1, BASE_REVISION + 1 + ENOUGH))


def test_an_update_is_of_an_event_that_was_added_before_and_only_once() -> None:
    replay = Replay(standing=0, length=ENOUGH, rate=0, updates=True)
    seen: dict[str, int] = {}

    for change in stream(replay, 0, ENOUGH):
        uid, times = change["object"]["metadata"]["uid"], change["object"]["count"]
        assert times == seen.get(uid, 0) + 1
        assert change["type"] == ("ADDED" if times == 1 else "MODIFIED")
        seen[uid] = times

    assert list(seen.values()).count(2) == ENOUGH // 2


def test_updates_follow_as_soon_as_the_stream_says() -> None:
    replay = Replay(standing=0, length=ENOUGH, rate=0, updates=True, lag=2)

    types = [change["type"] for change in stream(replay, 0, 8)]

    assert types == 2 * ["ADDED", "ADDED", "MODIFIED", "MODIFIED"]


def test_a_renewing_stream_updates_each_standing_event_in_turn_and_adds_none() -> None:
    replay = Replay(standing=3, length=ENOUGH, rate=0, updates=False, renewing=True)
    standing = [json.loads(item)["metadata"]["uid"] for item in replay.page().items]

    changes = stream(replay, 0, 6)

    assert {change["type"] for change in changes} == {"MODIFIED"}
    assert [change["object"]["metadata"]["uid"] for change in changes] == 2 * standing
    assert [change["object"]["count"] for change in changes] == [2, 2, 2, 3, 3, 3]


def test_a_stream_goes_on_at_another_rate_from_where_it_was() -> None:
    clock = FakeClock()
    replay = Replay(standing=0, length=100, rate=1, updates=False, clock=clock.monotonic)
    assert (replay.due(), replay.revision) == (0, BASE_REVISION)

    replay.begin()
    clock.advance(4.5)
    assert (replay.due(), replay.revision) == (4, BASE_REVISION + 4)
    assert replay.seconds_to(4) == 0.5

    replay.begin(10)
    clock.advance(2.05)
    assert replay.due() == 24
    assert replay.seconds_to(24) == pytest.approx(0.05)

    clock.advance(60)
    assert replay.due() == 100
    assert replay.seconds_to(100) == math.inf


def test_the_last_state_comes_when_it_is_due_however_time_passes_meanwhile() -> None:
    """It must not wait for the end of the watch if it becomes due while a watch looks."""
    begin, first, just_before, at_last = [0.0, 0.0], 1.05, 1.95, 2.05
    readings = iter([*begin, first, just_before])
    replay = Replay(
        standing=0, length=2, rate=1, updates=False, clock=lambda: next(readings, at_last)
    )
    replay.begin()
    watch = replay.watch(None)

    began = time.monotonic()
    taken = [watch.take(timeout=5) for _ in range(3)]

    assert [len(lines) for lines in taken] == [1, 0, 1]
    assert time.monotonic() < began + 4


def test_the_lease_of_the_bench_refuses_a_write_of_an_older_version() -> None:
    writes: list[int] = []
    replay = Replay(standing=0, length=0, rate=0, updates=False)
    with LeaseServer(replay, on_write=lambda: writes.append(1)) as server:
        folder = f"{server.url}/apis/coordination.k8s.io/v1/namespaces/default/leases"

        def ask(method: str, url: str, lease: dict[str, Any] | None = None) -> Any:
            answer = urllib3.request(method, url, json=lease, retries=False)
            return answer.status, answer.json()

        assert ask("GET", f"{folder}/eventrouter")[0] == 404
        _, created = ask("POST", folder, {"metadata": {"name": "eventrouter"}})
        _, renewed = ask("PUT", f"{folder}/eventrouter", created | {"spec": {"holder": "me"}})
        status, _ = ask("PUT", f"{folder}/eventrouter", created)

        assert status == 409
        assert ask("GET", f"{folder}/eventrouter") == (200, renewed)
        assert renewed["spec"] == {"holder": "me"}
        assert len(writes) == 2
        assert ask("GET", f"{server.url}/apis/apps/v1/deployments")[0] == 404


def test_the_stream_is_the_same_from_wherever_it_is_watched() -> None:
    replay = Replay(standing=0, length=100, rate=0, updates=True)
    whole = [change["object"]["metadata"] for change in stream(replay, 0, 100)]

    assert [change["object"]["metadata"] for change in stream(replay, 40, 100)] == whole[40:]


def test_pages_hold_each_standing_event_once() -> None:
    replay = Replay(standing=ENOUGH, length=0, rate=0, updates=False)
    uids: list[str] = []
    after: str | None = ""

    while after is not None:
        page = replay.page(after=after, limit=300)
        uids += [json.loads(item)["metadata"]["uid"] for item in page.items]
        after = page.last

    assert len(uids) == len(set(uids)) == ENOUGH


def test_an_event_is_as_large_as_those_that_the_figures_are_about() -> None:
    replay = Replay(standing=0, length=1, rate=0, updates=False)

    assert 1150 <= len(replay.lines(0, 1)) <= 1300


def test_a_plot_is_xml_with_a_line_for_each_series() -> None:
    svg = plot(
        "<memory> & time",
        Axis("events", 0, 10),
        Axis("MiB", 1, 100, is_log=True),
        {"a": [(0, 1), (10, 100)], "b": [(5, 10)]},
    )

    lines = ElementTree.fromstring(svg).findall("{http://www.w3.org/2000/svg}polyline")

    assert len(lines) == 2
    assert [point.split(",")[0] for point in lines[0].attrib["points"].split()] == ["70.0", "620.0"]


def test_results_of_a_single_scenario_make_a_table_and_no_plot() -> None:
    results = {"idle": {"core": 0.001, "switches": 1.0, "start_cpu": 0.5, "memory": 2**20}}

    assert "0.100%" in table(results)
    assert not plots(results)
