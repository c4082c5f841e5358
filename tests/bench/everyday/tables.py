"""The results as tables to read: each figure beside its goal and the peers'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests.bench.everyday.contestant import CONTESTANTS
from tests.bench.everyday.summary import errors
from tests.bench.report import aligned

Figures = dict[str, Any]
Row = Sequence[str]

_MIB = 2**20
_WATCHER = "watcher"
_MOST_CALLS = 8
_QUIET = 0.1  # cores that others may use


class Goal(NamedTuple):
    """Shares of a core."""

    watcher: float
    pair: float


# By events a second; 0 is idle with a Lease.
GOALS = {
    0: Goal(0.0002, 0.001),
    1: Goal(0.0006, 0.002),
    10: Goal(0.0015, 0.0035),
    100: Goal(0.005, 0.009),
    500: Goal(0.016, 0.024),
}
# The watcher's resident MiB after its start, with live events at a steady rate, with a full cache.
MEMORY_GOALS = {"start": 31, "live": 36, "full_cache": 58}
LATENCY_GOAL_SECONDS = 1.0
# Leader election by itself, as client-go's defaults have it.
LEASE_WRITES_GOAL = 0.5


def tables(results: Figures) -> str:
    """All of them, in Markdown."""
    figures = results["summary"]
    parts = [
        ("CPU, share of one core", cpu_rows(figures)),
        ("Memory, resident MiB", memory_rows(figures)),
        ("From write to ack, ms", latency_rows(figures)),
        ("Writes of the Lease a second", lease_rows(figures)),
        ("Wake-ups a second, by thread", wake_rows(figures)),
        ("System calls of the watcher, an event", call_rows(figures)),
    ]
    texts = []
    for title, part in parts:
        rows = list(part)
        if len(rows) > 1:
            texts.append(f"### {title}\n\n{aligned(rows)}")
    return "\n\n".join([*texts, "\n".join(notes(results))])


def costs(results: Figures) -> str:
    """What following events costs, without the goals: the first table that a user reads."""
    keep = [
        place for place, name in enumerate(next(cpu_rows(results["summary"]))) if name != "goal"
    ]
    return aligned([[row[place] for place in keep] for row in cpu_rows(results["summary"])])


def cpu_rows(figures: Figures) -> Iterator[Row]:
    """The pair at each rate beside its goals and the peers."""
    yield ("events a second", "watcher", "goal", "Fluent Bit", "pair", "goal", *_peers(figures))
    pair, lease = figures.get("pair", {}), figures.get("lease", {})
    for rate in _rates(figures):
        goal = GOALS.get(rate)
        name = f"{rate}" if rate else "0 (idle)"
        of_lease = lease.get(str(rate))
        # The goal of an idle pair is about one with a Lease.
        of_file = _goals(goal if rate else None)
        peers = [_share(figures[peer].get(str(rate))) for peer in _present_peers(figures)]
        yield (name, *_pair_cells(pair.get(str(rate)), of_file), *peers)
        if of_lease:
            nothing = [""] * len(peers)
            cells = _pair_cells(of_lease, _goals(goal))
            yield (f"{name}, with a Lease", *cells, *nothing)


def memory_rows(figures: Figures) -> Iterator[Row]:
    """What is resident at three moments."""
    yield ("", "watcher", "goal", "Fluent Bit", "pair", *_peers(figures))
    live = figures.get("live", {})
    starts = {name: figures[name].get("start", {}) for name in CONTESTANTS if name in figures}
    moments = {
        "start": ("after the start", starts),
        "live": ("1,000 live events, 100 updates a second", live),
        "full_cache": ("cache of 16 MiB full", {"pair": figures.get("full_cache", {})}),
    }
    for moment, (name, by_contestant) in moments.items():
        pair = by_contestant.get("pair", {}).get("memory", {})
        sizes = {program: size["resident"] for program, size in pair.items()}
        cells = [_mib(sizes.get(_WATCHER)), f"{MEMORY_GOALS[moment]}"]
        sidecar = sum(size for program, size in sizes.items() if program != _WATCHER)
        cells += [_mib(sidecar), _mib(sum(sizes.values()))]
        for peer in _present_peers(figures):
            memory = by_contestant.get(peer, {}).get("memory", {})
            cells.append(_mib(sum(size["resident"] for size in memory.values())))
        yield (name, *cells)


def latency_rows(figures: Figures) -> Iterator[Row]:
    """At each rate."""
    yield ("events a second", "p50", "p99", "goal", "most", "states")
    for rate in _rates(figures):
        if latency := figures.get("pair", {}).get(str(rate), {}).get("latency"):
            cells = [f"{1000 * latency[name]:.0f}" for name in ("p50", "p99")]
            goal = f"{1000 * LATENCY_GOAL_SECONDS:.0f}"
            most, count = f"{1000 * latency['most']:.0f}", f"{latency['count']:,.0f}"
            yield (f"{rate}", *cells, goal, most, count)


def lease_rows(figures: Figures) -> Iterator[Row]:
    """Idle, and with events."""
    yield ("events a second", "writes", "goal")
    for rate, stretch in figures.get("lease", {}).items():
        if rate.isdecimal():
            yield (rate, f"{stretch['lease_writes']:.2f}", f"{LEASE_WRITES_GOAL}")


def wake_rows(figures: Figures) -> Iterator[Row]:
    """How often each thread of the pair went to sleep, with a file and with a Lease."""
    columns = {
        f"{int(rate) or 'idle'}{suffix}": stretch["threads"]
        for part, suffix in (("pair", ""), ("lease", ", Lease"))
        for rate, stretch in figures.get(part, {}).items()
        if rate.isdecimal()
    }
    yield ("thread", *columns)
    programs = dict.fromkeys(program for threads in columns.values() for program in threads)
    for program in programs:
        found = [threads.get(program, {}) for threads in columns.values()]
        for thread in dict.fromkeys(name for threads in found for name in threads):
            sleeps = [threads[thread]["sleeps"] if thread in threads else None for threads in found]
            cells = ["" if each is None else f"{each:.1f}" for each in sleeps]
            yield (f"{program}: {thread}", *cells)
        sums = [sum(thread["sleeps"] for thread in threads.values()) for threads in found]
        yield (f"{program}: all", *(f"{each:.1f}" for each in sums))


def call_rows(figures: Figures) -> Iterator[Row]:
    """By name, the most frequent first."""
    pair = figures.get("pair", {})
    traced = {rate: pair[rate] for rate in pair if pair[rate].get("calls")}
    yield ("call", *(f"{rate}/s" for rate in traced))
    sums: dict[str, float] = {}
    for stretch in traced.values():
        for name, count in stretch["calls"].items():
            sums[name] = sums.get(name, 0) + count / stretch["traced_events"]
    most = sorted(sums, key=lambda name: -sums[name])[:_MOST_CALLS]
    for name in most:
        yield (name, *(_per_event(stretch, [name]) for stretch in traced.values()))
    if traced:
        yield ("all", *(_per_event(stretch, stretch["calls"]) for stretch in traced.values()))


def notes(results: Figures) -> Iterator[str]:
    """What the figures depend on, and what is missing."""
    figures = results["summary"]
    stretches = [
        stretch
        for part in (*CONTESTANTS, "lease")
        for stretch in figures.get(part, {}).values()
        if "others" in stretch
    ]
    form, runs = results["form"], results["runs"]
    median = f"median of {len(runs)} runs" if len(runs) > 1 else "one run"
    yield f"{form['name']} form, {median}."
    if stretches:
        others = [stretch["others"] for stretch in stretches]
        load = max(stretch["load"] for stretch in stretches)
        yield (
            f"Others on the machine used {min(others):.2f} to {max(others):.2f} cores meanwhile;"
            f" the load average was up to {load:.1f}."
            + (" Not quiet: take the figures for upper bounds." if max(others) > _QUIET else "")
        )
    for name, remedy in results["skipped"].items():
        yield f"Left out: {CONTESTANTS[name].title}: {remedy}."
    for name, contestant in CONTESTANTS.items():
        for rate, stretch in figures.get(name, {}).items():
            if stretch.get("is_behind"):
                share = stretch["printed"] / (contestant.record_bytes * stretch["events"])
                yield f"{contestant.title} fell behind at {rate} a second: it printed {share:.0%}."
    yield from (f"Failed: {error}." for error in errors(runs))


def _rates(figures: Figures) -> list[int]:
    found = {
        int(rate) for name in CONTESTANTS for rate in figures.get(name, {}) if rate.isdecimal()
    }
    return sorted(found)


def _present_peers(figures: Figures) -> list[str]:
    return [name for name in CONTESTANTS if name != "pair" and name in figures]


def _peers(figures: Figures) -> list[str]:
    return [CONTESTANTS[name].title for name in _present_peers(figures)]


def _pair_cells(stretch: Figures | None, goals: tuple[str, str]) -> list[str]:
    if not stretch:
        return ["", goals[0], "", "", goals[1]]
    watcher, all_of_it = stretch["cpu"][_WATCHER], sum(stretch["cpu"].values())
    shares = [_percent(watcher), goals[0], _percent(all_of_it - watcher)]
    return [*shares, "behind" if stretch["is_behind"] else _percent(all_of_it), goals[1]]


def _goals(goal: Goal | None) -> tuple[str, str]:
    return (_percent(goal.watcher), _percent(goal.pair)) if goal else ("", "")


def _share(stretch: Figures | None) -> str:
    if not stretch:
        return ""
    return "behind" if stretch["is_behind"] else _percent(sum(stretch["cpu"].values()))


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share >= 0.001 else 3}f} %"


def _mib(size: float | None) -> str:
    return f"{size / _MIB:.1f}" if size else ""


def _per_event(stretch: Figures, names: Sequence[str] | dict[str, float]) -> str:
    return f"{sum(stretch['calls'].get(name, 0) for name in names) / stretch['traced_events']:.1f}"
