"""One run of the measurement: what is slow side by side, what is fast one after the other."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.everyday.contestant import CONTESTANTS, Contestant, Pair
from tests.bench.everyday.form import FILL_EVENTS, FILL_RATE, LIVE_EVENTS, LIVE_RATE, Form
from tests.bench.everyday.syscalls import count_calls
from tests.bench.everyday.window import measure, memory
from tests.bench.source import Source
from tests.programs import ProgramError
from tests.support.waiting import eventually

Figures = dict[str, Any]

_ENDLESS = 10**9
# Of new events before their updates follow: real ones are updated within seconds or minutes.
_LAG = 10
# Between the sources' first states, so that not all states come at the same moments.
_APART_SECONDS = 0.23
_LEASE = "lease"  # the pair's second part
_SAMPLES = 200  # of the memory over time, at most


def one_run(form: Form, contestants: Sequence[str], *, with_live: bool) -> Figures:
    """All that is measured, once, for those that take part; memory over time only if asked for."""
    kinds = [CONTESTANTS[name] for name in contestants]
    run: Figures = {}

    def part(name: str, work: Callable[[], Figures]) -> Figures:
        """Its figures; none if it fails, and then the error has a place of its own."""
        figures = _attempt(name, work)
        if "error" in figures:
            run[name], figures = figures, {}
        return figures

    together = part("side by side", partial(side_by_side, form, kinds))
    for kind in kinds:
        fast = part(f"{kind.name} alone", partial(alone, form, kind))
        run[kind.name] = together.get(kind.name, {}) | fast
    if Pair in kinds:
        run[_LEASE] = together.get(_LEASE, {})
        run["full_cache"] = part("full cache", partial(full_cache, form))
    if with_live and (figures := part("memory over time", partial(live, form, kinds))):
        run["live"] = figures
    return run


def side_by_side(form: Form, kinds: Sequence[type[Contestant]]) -> Figures:
    """All of them at the slow rates, from their start on, each on a source of its own.

    Two cores have nothing to do for 99 % of the time, and what else moves a figure (other guests
    of a shared machine, cold caches) moves everybody's at once. The pair takes part twice: with a
    file, and as in a cluster, with leader election and the checkpoint in a Lease.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        contestants: dict[str, Contestant] = {
            kind.name: kind(_source(directory / kind.name, form.slow)) for kind in kinds
        }
        if Pair in kinds:
            contestants[_LEASE] = Pair(_source(directory / _LEASE, form.slow), with_lease=True)
        for contestant in contestants.values():
            stack.enter_context(contestant)
        time.sleep(form.warm_seconds)
        starts = {
            name: {"start": {"memory": memory(contestant.programs)}}
            for name, contestant in contestants.items()
        }
        stretches = _stretches(contestants, form, form.slow)
        return {name: starts[name] | stretches[name] for name in contestants}


def alone(form: Form, kind: type[Contestant]) -> Figures:
    """One contestant at the fast rates."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        kind(_source(Path(directory), form.fast)) as contestant,
    ):
        time.sleep(form.warm_seconds)
        return _stretches({kind.name: contestant}, form, form.fast)[kind.name]


def full_cache(form: Form) -> Figures:
    """The pair once its cache of old states is full and all is acknowledged."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        source = Source(Path(directory), length=FILL_EVENTS, rate=FILL_RATE)
        with Pair(source) as pair:
            assert pair.probe is not None
            acked = pair.probe.latencies
            source.begin()
            eventually(lambda: len(acked) >= FILL_EVENTS, timeout=120, what="all acknowledged")
            time.sleep(form.settle_seconds)
            return {"memory": memory(pair.programs)}


def live(form: Form, kinds: Sequence[type[Contestant]]) -> Figures:
    """All side by side, each on a source of its own, from the start on; resident bytes over time.

    Only the memory is read here, and memory does not depend on who else runs.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        contestants = {
            kind.name: stack.enter_context(
                kind(
                    Source(
                        directory / kind.name,
                        standing=LIVE_EVENTS,
                        length=_ENDLESS,
                        rate=LIVE_RATE,
                        renewing=True,
                    )
                )
            )
            for kind in kinds
        }
        samples: dict[str, list[Figures]] = {name: [] for name in contestants}
        streams_at = time.monotonic() + form.warm_seconds
        pause = max(1.0, form.live_seconds / _SAMPLES)
        _sample(contestants, samples, until=streams_at, pause=pause, zero=streams_at)
        for contestant in contestants.values():
            contestant.source.begin()
        end = time.monotonic() + form.live_seconds
        _sample(contestants, samples, until=end, pause=pause, zero=streams_at)
        return {
            name: {"samples": samples[name], "memory": memory(contestant.programs)}
            for name, contestant in contestants.items()
        }


def percentiles(values: Sequence[float]) -> Figures:
    """How many, and what 50 and 99 of 100 do not exceed (the nearest rank); {} of none."""
    if not values:
        return {}
    ordered = sorted(values)
    at = {f"p{percent}": ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 99)}
    return {"count": len(ordered), **at, "most": ordered[-1]}


def say(text: str) -> None:
    """Progress is for standard error; the tables alone are on standard output."""
    print(text, file=sys.stderr, flush=True)


def _stretches(
    contestants: Mapping[str, Contestant], form: Form, stretches: Mapping[int, float]
) -> dict[str, Figures]:
    """By contestant: each rate in turn, by its number; 0 comes first if at all.

    Half of the states are new events.
    """
    figures: dict[str, Figures] = {name: {} for name in contestants}
    for rate, seconds in stretches.items():
        for contestant in contestants.values() if rate else ():
            contestant.source.begin()
            time.sleep(_APART_SECONDS)
        time.sleep(form.settle_seconds)
        writes = {name: each.source.lease_writes() for name, each in contestants.items()}
        for contestant in contestants.values():
            if contestant.probe:
                contestant.probe.latencies.clear()
        for name, stretch in measure(contestants, seconds=seconds, rate=rate).items():
            contestant = contestants[name]
            written = contestant.source.lease_writes() - writes[name]
            stretch["lease_writes"] = written / stretch["seconds"]
            if contestant.probe:
                stretch["latency"] = percentiles(list(contestant.probe.latencies))
            figures[name][str(rate)] = stretch
        if rate in form.traced_rates and Pair.name in contestants:
            main = contestants[Pair.name].main
            figures[Pair.name][str(rate)] |= {
                "calls": count_calls(main.pid, seconds=form.trace_seconds),
                "traced_events": rate * form.trace_seconds,
            }
    return figures


def _sample(
    contestants: Mapping[str, Contestant],
    samples: Mapping[str, list[Figures]],
    *,
    until: float,
    pause: float,
    zero: float,
) -> None:
    """Note the resident bytes of each program again and again, with the seconds since `zero`."""
    while (now := time.monotonic()) < until:
        for name, contestant in contestants.items():
            resident = {
                program.name: program.memory_bytes() for program in contestant.programs.values()
            }
            samples[name].append({"seconds": now - zero, "resident": resident})
        time.sleep(min(pause, until - now))


def _attempt(name: str, work: Callable[[], Figures]) -> Figures:
    """Its figures; if it fails, the error in their place, so that the others are not lost."""
    began = time.monotonic()
    say(f"  {name} ...")
    try:
        return work()
    except (ProgramError, TimeoutError, OSError) as error:
        say(f"  {name} FAILED: {error}")
        return {"error": str(error).splitlines()[0]}
    finally:
        say(f"  {name}: {time.monotonic() - began:.0f} s")


def _source(directory: Path, stretches: Mapping[int, float]) -> Source:
    rates = [rate for rate in stretches if rate]
    return Source(directory, length=_ENDLESS, rates=rates, updates=True, lag=_LAG)
