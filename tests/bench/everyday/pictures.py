"""The results as plots: CPU against events a second, and memory over time, for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.bench.everyday.contestant import CONTESTANTS
from tests.bench.plots import Axis, Points, plot

Figures = dict[str, Any]

_MIB = 2**20


def pictures(results: Figures) -> dict[str, str]:
    """The text of each file, by its name."""
    figures = results["summary"]
    files = {}
    if cpu := _cpu(figures):
        rates = [rate for points in cpu.values() for rate, _ in points]
        shares = [share for points in cpu.values() for _, share in points if share > 0]
        files["everyday-cpu.svg"] = plot(
            "CPU on an ordinary day",
            Axis("events a second", min(rates), max(rates), is_log=True),
            Axis("% of a core", min(0.1, *shares), max(shares), is_log=True),
            cpu,
        )
    if live := _live(figures):
        seconds = [second for points in live.values() for second, _ in points]
        most = max(size for points in live.values() for _, size in points)
        files["everyday-memory.svg"] = plot(
            "Memory with 1,000 live events, 100 updates a second from 0 s on",
            Axis("seconds", min(seconds), max(seconds)),
            Axis("MiB", 0, 1.7 * most),  # the names stand above the lines
            live,
        )
    return files


def _cpu(figures: Figures) -> dict[str, Points]:
    """Percent of a core by rate, without idle, which has no place on the axis."""
    series: dict[str, Points] = {}
    for name, contestant in CONTESTANTS.items():
        stretches = {
            int(rate): stretch["cpu"]
            for rate, stretch in figures.get(name, {}).items()
            if rate.isdecimal() and int(rate) and not stretch["is_behind"]
        }
        if len(stretches) < 2:
            continue
        series[contestant.title] = _percents(stretches)
        if name == "pair":
            alone = {rate: {"watcher": cpu["watcher"]} for rate, cpu in stretches.items()}
            series["watcher alone"] = _percents(alone)
    return series


def _percents(stretches: dict[int, dict[str, float]]) -> Points:
    return [(rate, 100 * sum(cpu.values())) for rate, cpu in sorted(stretches.items())]


def _live(figures: Figures) -> dict[str, Points]:
    series: dict[str, Points] = {}
    for name, contestant in CONTESTANTS.items():
        samples = figures.get("live", {}).get(name, {}).get("samples", [])
        if len(samples) < 2:
            continue
        series[contestant.title] = _sizes(samples, list(samples[0]["resident"]))
        if name == "pair":
            series["watcher alone"] = _sizes(samples, ["watcher"])
    return series


def _sizes(samples: Sequence[Figures], programs: Sequence[str]) -> Points:
    return [
        (each["seconds"], sum(each["resident"][program] for program in programs) / _MIB)
        for each in samples
    ]
