"""The measurement: one run after the other, one contestant after the other."""

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
_SAMPLES = 200  # of the memory over time, at most


def one_run(form: Form, contestants: Sequence[str]) -> Figures:
    """All that is measured, once, for those that take part."""
    kinds = [CONTESTANTS[name] for name in contestants]
    work: dict[str, Callable[[], Figures]] = {
        kind.name: partial(rates, form, kind) for kind in kinds
    }
    if Pair in kinds:
        work |= {"lease": partial(with_lease, form), "full_cache": partial(full_cache, form)}
    work["live"] = partial(live, form, kinds)
    return {name: _attempt(name, part) for name, part in work.items()}


def rates(form: Form, kind: type[Contestant]) -> Figures:
    """One contestant from its start through all rates. Half of the states are new events."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        source = _source(directory, form.stretches)
        with kind(source) as contestant:
            time.sleep(form.warm_seconds)
            figures: Figures = {"start": {"memory": memory(contestant.programs)}}
            figures |= _stretches(
                contestant, form, form.stretches, traced=form.traced_rates if kind is Pair else ()
            )
    return figures


def with_lease(form: Form) -> Figures:
    """The pair as in a cluster, with leader election and the checkpoint in a Lease."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        source = _source(directory, form.lease_stretches)
        with Pair(source, with_lease=True) as pair:
            time.sleep(form.warm_seconds)
            return _stretches(pair, form, form.lease_stretches)


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
    contestant: Contestant,
    form: Form,
    stretches: Mapping[int, float],
    *,
    traced: Sequence[int] = (),
) -> Figures:
    """Each rate in turn, by its number; 0 comes first if at all."""
    figures: Figures = {}
    source, probe = contestant.source, contestant.probe
    for rate, seconds in stretches.items():
        if rate:
            source.begin()
        time.sleep(form.settle_seconds)
        written = source.lease_writes()
        if probe:
            probe.latencies.clear()
        figures[str(rate)] = stretch = measure(contestant, seconds=seconds, rate=rate)
        stretch["lease_writes"] = (source.lease_writes() - written) / stretch["seconds"]
        if probe:
            stretch["latency"] = percentiles(list(probe.latencies))
        if rate in traced:
            stretch["calls"] = count_calls(contestant.main.pid, seconds=form.trace_seconds)
            stretch["traced_events"] = rate * form.trace_seconds
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


def _source(directory: str, stretches: Mapping[int, float]) -> Source:
    rates = [rate for rate in stretches if rate]
    return Source(Path(directory), length=_ENDLESS, rates=rates, updates=True, lag=_LAG)
