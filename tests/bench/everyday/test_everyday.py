"""The everyday bench: its sums are right, its tables say what was measured and what was not."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench.accounting import Thread, cpu_seconds, threads, written_bytes
from tests.bench.everyday import day
from tests.bench.everyday.contestant import CONTESTANTS, Contestant
from tests.bench.everyday.day import percentiles
from tests.bench.everyday.form import FULL, SHORT
from tests.bench.everyday.named import name_threads
from tests.bench.everyday.pictures import pictures
from tests.bench.everyday.summary import summary
from tests.bench.everyday.syscalls import parse
from tests.bench.everyday.tables import GOALS, tables
from tests.bench.everyday.window import by_thread, is_behind
from tests.bench.source import Source
from tests.programs.required import required
from tests.support.waiting import eventually

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no Linux /proc")

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.05    0.004321           5       766       123 futex
 20.00    0.000100           1        79           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.004421           5       845       123 total
"""


def stretch(*, behind: bool = False, **cpu: float) -> dict[str, Any]:
    return {
        "cpu": {name.replace("_", "-"): share for name, share in cpu.items()},
        "threads": {"watcher": {"sender": {"cpu": 0.001, "sleeps": 4.0}}},
        "events": 100.0,
        "printed": 60_000 if behind else 150_000,
        "is_behind": behind,
        "others": 0.02,
        "load": 0.5,
        "lease_writes": 0.5,
    }


def sizes(**resident: int) -> dict[str, Any]:
    return {name: {"resident": size * 2**20} for name, size in resident.items()}


def run(watcher: float = 0.001, *, input_lags: bool = False) -> dict[str, Any]:
    """One run of two rates, with a peer."""
    pair = {rate: stretch(watcher=watcher, fluent_bit=0.002) for rate in ("0", "1", "10")}
    pair["10"] |= {"latency": {"count": 600, "p50": 0.1, "p99": 0.2, "most": 0.25}}
    pair["10"] |= {"calls": {"futex": 100, "poll": 50}, "traced_events": 50}
    peer = {"1": stretch(fluent_bit=0.0005), "10": stretch(fluent_bit=0.001, behind=input_lags)}
    samples = [{"seconds": at, "resident": {"watcher": 40 * 2**20}} for at in (-1, 0, 1)]
    return {
        "pair": {"start": {"memory": sizes(watcher=30)}, **pair},
        "input": {"start": {"memory": sizes(fluentbit=15)}, **peer},
        "lease": {
            "start": {"memory": sizes(watcher=31)},
            "0": stretch(watcher=0.0003, fluent_bit=0.001),
        },
        "live": {"pair": {"samples": samples, "memory": sizes(watcher=36)}},
    }


def results(*runs: dict[str, Any]) -> dict[str, Any]:
    return {
        "form": {"name": "short"},
        "skipped": {"informer": "install Go 1.26 or newer to build it"},
        "runs": list(runs),
        "summary": summary(runs),
    }


def row(text: str, name: str) -> list[str]:
    """The cells of the first row of this name."""
    lines = [line.strip("| ") for line in text.splitlines()]
    return next([c.strip() for c in line.split("|")] for line in lines if line.startswith(name))


def test_the_short_form_takes_minutes_and_the_full_one_less_than_two_hours() -> None:
    assert SHORT.estimate(len(CONTESTANTS)) < 8 * 60
    assert 3600 < FULL.estimate(len(CONTESTANTS)) < 2 * 3600


def test_slow_rates_are_measured_for_as_long_as_the_goals_say() -> None:
    assert all(FULL.slow[rate] == 300 for rate in (0, 1, 10))
    assert all(SHORT.slow[rate] == 60 for rate in (1, 10))
    assert {*SHORT.slow, *SHORT.fast} == {*FULL.slow, *FULL.fast} == set(GOALS)


def test_a_cell_has_the_median_of_the_runs() -> None:
    text = tables(results(run(0.001), run(0.009), run(0.002)))

    assert row(text, "10 ")[1:6] == ["0.20 %", "0.15 %", "0.20 %", "0.40 %", "0.35 %"]
    assert "median of 3 runs" in text


def test_an_idle_pair_has_its_goal_beside_the_lease_not_beside_the_file() -> None:
    text = tables(results(run()))

    assert row(text, "0 (idle) ")[2] == ""
    assert row(text, "0 (idle), with a Lease")[1:3] == ["0.030 %", "0.020 %"]


def test_memory_stands_beside_its_goal() -> None:
    text = tables(results(run()))

    assert row(text, "after the start")[1:] == ["30.0", "31", "", "30.0", "15.0"]
    assert row(text, "1,000 live events")[1:3] == ["36.0", "36"]


def test_latency_wakes_and_calls_are_told() -> None:
    text = tables(results(run()))

    assert row(text[text.index("From write") :], "10 ")[1:] == ["100", "200", "1000", "250", "600"]
    assert row(text, "watcher: sender")[1:] == ["4.0", "4.0", "4.0", "4.0"]
    assert row(text, "futex")[1:] == ["2.0"]
    assert row(text[text.index("System calls") :], "all")[1:] == ["3.0"]


def test_a_peer_that_printed_too_little_is_behind_and_gets_no_figure() -> None:
    shown = results(run(input_lags=True))
    text = tables(shown)

    assert row(text, "10 ")[-1] == "behind"
    assert "Fluent Bit's own input fell behind at 10 a second: it printed 50%." in text


def test_who_is_missing_or_failed_is_said_and_costs_nobody_else_a_figure() -> None:
    failed = run()
    failed["input"] = {"error": "fluent-bit ended with 1"}
    text = tables(results(failed, run()))

    assert "Left out: Go informer: install Go 1.26 or newer to build it." in text
    assert "Failed: run 1, input: fluent-bit ended with 1." in text
    assert row(text, "10 ")[-1] == "0.10 %"


def test_a_part_of_a_run_that_fails_costs_no_other_part_its_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> dict[str, Any]:
        raise OSError("no room\non the disk")

    slow = {"1": stretch(watcher=0.001)}
    monkeypatch.setattr(day, "side_by_side", lambda *_: {"pair": slow, "lease": slow})
    monkeypatch.setattr(day, "alone", fail)
    monkeypatch.setattr(day, "full_cache", fail)
    monkeypatch.setattr(day, "live", fail)

    found = day.one_run(SHORT, ["pair"], with_live=True)

    assert found["pair"] == found["lease"] == slow
    assert "live" not in found  # so the next run measures it
    told = tables(results(found))
    assert "Failed: run 1, pair alone: no room." in told
    assert row(told, "1 ")[1] == "0.10 %"


def test_the_plots_have_a_line_for_each_that_was_measured() -> None:
    files = pictures(results(run()))
    lines = {
        name: len(ElementTree.fromstring(text).findall("{http://www.w3.org/2000/svg}polyline"))
        for name, text in files.items()
    }

    assert lines == {"everyday-cpu.svg": 3, "everyday-memory.svg": 2}  # pair, watcher; the peer


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles([]) == {}
    assert percentiles([3.0]) == {"count": 1, "p50": 3.0, "p99": 3.0, "most": 3.0}
    assert percentiles([float(n) for n in range(200, 0, -1)])["p50"] == 100
    assert percentiles([float(n) for n in range(200, 0, -1)])["p99"] == 198
    assert percentiles([1.0] * 59 + [9.0])["p99"] == 9.0


def test_calls_are_read_from_straces_table() -> None:
    assert parse(STRACE) == {"futex": 766, "sendto": 79}
    assert parse("strace: attach: Operation not permitted") == {}


def test_threads_of_one_name_are_one_and_a_new_one_counts_from_its_start() -> None:
    before = {1: Thread("sender", 1.0, 10), 2: Thread("http", 0.5, 7)}
    after = {1: Thread("sender", 3.0, 30), 3: Thread("sender", 1.0, 5)}

    assert by_thread(before, after, seconds=2.0) == {"sender": {"cpu": 1.5, "sleeps": 12.5}}


def test_a_stretch_may_miss_what_is_printed_at_its_edges_but_not_more() -> None:
    assert not is_behind(85_000, due=100_000)
    assert is_behind(84_999, due=100_000)
    assert not is_behind(0, due=0)


@needs_proc
def test_the_time_of_threads_that_have_ended_counts() -> None:
    before, used = cpu_seconds(os.getpid()), 0.0

    def burn() -> None:
        nonlocal used
        while (used := threads(os.getpid())[threading.get_native_id()].cpu) < 0.02:
            pass

    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()

    assert cpu_seconds(os.getpid()) - before >= used


@needs_proc
def test_threads_tell_the_system_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "run", threading.Thread.run)  # put back at the end
    name_threads()
    names: list[str] = []

    def look() -> None:
        names.append(threads(os.getpid())[threading.get_native_id()].name)

    thread = threading.Thread(target=look, name="a-name-beyond-what-fits")
    thread.start()
    thread.join()

    assert names == ["a-name-beyond-w"]


@needs_proc
@pytest.mark.parametrize("kind", CONTESTANTS.values(), ids=CONTESTANTS)
def test_each_contestant_prints_every_state_of_the_stream(
    kind: type[Contestant], tmp_path: Path
) -> None:
    if kind.part:
        required(kind.part)
    states = 200

    with kind(Source(tmp_path, length=states, updates=True, lag=10)) as contestant:
        printer = contestant.printer
        contestant.source.begin()

        def has_printed() -> bool:
            return not is_behind(written_bytes(printer.pid), due=kind.record_bytes * states)

        eventually(has_printed, timeout=60, what=f"{states} states printed")
