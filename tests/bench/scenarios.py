"""What is measured, one function each. All figures are plain numbers, ready for JSON."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from statistics import quantiles
from typing import Any

import msgpack
import orjson

from eventrouter.capture.record import Shaper
from eventrouter.forward import protocol
from eventrouter.kube.parsing import Added, watch_events
from tests.bench.accounting import price, switches, usage
from tests.bench.reference import Reference
from tests.bench.replay import Replay
from tests.bench.run import Result, Run
from tests.bench.sidecar import new_sidecar
from tests.bench.source import Source
from tests.programs.program import ProgramError

Figures = dict[str, Any]

OFFERED = (100, 1_000, 5_000, 10_000, 20_000, 40_000, 80_000)
_FRAME_EVENTS = 250
_WINDOW = 4
_IDLE_SECONDS = 20
_PACED_SECONDS = 5


def stream(scale: float) -> Figures:
    """New events only, as fast as they go, without old states."""
    with Run(length=int(300_000 * scale), cache="0") as run:
        run.start()
        return _figures(run.stream())


def updates(scale: float) -> Figures:
    """Half of the states are updates that carry their old_event."""
    with Run(length=int(300_000 * scale), updates=True) as run:
        run.start()
        return _figures(run.stream())


def first_list(scale: float) -> Figures:
    """100,000 events that stand there when the watcher starts. Its start is included."""
    with Run(standing=int(100_000 * scale), cache="0") as run:
        return _figures(run.listed(int(100_000 * scale)))


def memory(scale: float) -> Figures:
    """A million events listed, then a million streamed, half of them updates; beside ten thousand
    of each. Memory and CPU over time."""
    count, few = int(1_000_000 * scale), int(10_000 * scale)
    with Run(standing=few, length=few, updates=True) as run:
        run.listed(few)
        small = _figures(run.stream())
    with Run(standing=count, length=count, updates=True) as run:
        listed, streamed = _figures(run.listed(count)), _figures(run.stream())
    return {"few": small, "listed": listed, "streamed": streamed}


def paced(scale: float) -> list[Figures]:
    """So many events a second offered: what comes through, and what it costs."""
    results = []
    for rate in OFFERED:
        length = int(rate * _PACED_SECONDS)
        with Run(length=length, rate=rate) as run:
            run.start()
            results.append(
                {"offered": rate, **_figures(run.stream(undisturbed=_PACED_SECONDS), samples=False)}
            )
    return results


def latency(scale: float) -> Figures:
    """100 events a second: seconds from an event's making to its ack."""
    length = max(500, int(2_000 * scale))
    with Run(length=length, rate=100, probe=True) as run:
        run.start()
        run.stream()
        assert run.probe is not None
        marks = quantiles(run.probe.latencies, n=100)
    return {"p50": marks[49], "p99": marks[98], "percentiles": marks}


def idle(scale: float) -> Figures:
    """A watcher with nothing to do, its start, and what it then takes."""
    seconds = _IDLE_SECONDS * max(1, scale)
    with Run() as run:
        started = run.start()
        time.sleep(2)
        before, slept = usage(run.watcher), switches(run.watcher)
        time.sleep(seconds)
        after, slept = usage(run.watcher), switches(run.watcher) - slept
    return {
        "start_cpu": started.cpu,
        "memory": after.memory,
        "core": (after.cpu - before.cpu) / seconds,
        "switches": slept / seconds,
    }


def backpressure(scale: float) -> Figures:
    """A sidecar that takes 1,000 events a second against 50,000; then it takes all."""
    length = max(100_000, int(400_000 * scale))  # more than it takes while it is slow
    with Run(length=length, rate=50_000, probe=True, most_a_second=1_000) as run:
        run.start()
        run.source.begin()
        time.sleep(30)
        slow = run.watcher.acked() / 30
        metrics = run.watcher.metrics()
        held = usage(run.watcher).memory
        assert run.probe is not None
        run.probe.most_a_second = 0
        already = run.watcher.acked()
        with run.measured(length - already, already=already, timeout=300) as rest:
            pass
        return {
            "slow_rate": slow,
            "queued": int(metrics.total("eventrouter_queue_events")),
            "watches_closed": int(metrics.total("eventrouter_watch_total", result="queue_full")),
            "memory": held,
            "peak": rest.peak,
            "acked": run.watcher.acked(),
            "written": length,
        }


def extras(scale: float) -> Figures:
    """What is off by default: 100 states a second about 200 pods, 10,000 about 5,000 at once."""
    enrich = ("--enrich", "Pod,ReplicaSet,Deployment", "--enrich-labels", "*")
    results = {}
    for name, options in (("off", ()), ("enrich", enrich), ("count", ("--count-events",))):
        length = int(3_000 * scale)
        with Run(length=length, rate=100, updates=True, pods=200, options=options) as run:
            run.start()
            figures = _figures(run.stream(undisturbed=length / 100), samples=False)
            lookups = run.watcher.metrics().total("eventrouter_enrich_lookups_total")
            figures |= {"core": figures["cpu"] * 100 / 1e6, "lookups": lookups / figures["seconds"]}
        count = int(10_000 * scale)
        with Run(standing=count, pods=max(1, count // 2), options=options) as run:
            burst = _figures(run.listed(count), samples=False)
            metrics = run.watcher.metrics()
            burst["lookups"] = metrics.total("eventrouter_enrich_lookups_total")
            burst["found"] = metrics.total("eventrouter_enrich_records_total", result="found")
            burst["cache"] = metrics.total("eventrouter_enrich_cache_bytes")
        results[name] = figures | {"burst": burst}
    return results


def reference(scale: float) -> Figures:
    """The same stream by kubernetes.watch.Watch and FluentSender, unacknowledged."""
    length = int(20_000 * scale)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        source = stack.enter_context(Source(directory / "source", length=length))
        sidecar = new_sidecar(directory / "sidecar")
        stack.enter_context(sidecar)
        router = Reference(
            directory / "reference",
            kubeconfig=source.kubeconfig,
            port=sidecar.forward_port,
            length=length,
        )
        stack.enter_context(router)
        source.wait_for_watch()
        started = last = usage(router)
        began = time.monotonic()
        source.begin()
        while router.is_running:
            with suppress(OSError, ProgramError):  # it may have ended just now
                last = usage(router)
            time.sleep(0.02)
        seconds = time.monotonic() - began
        if router.exit_code:
            raise ProgramError(f"the reference failed{router.log_tail()}")
    return {
        "events": length,
        "rate": length / seconds,
        "cpu": price(started, last, events=length),
        "start_cpu": started.cpu,
        "memory": started.memory,
        "peak": last.peak,
    }


def ceiling(scale: float) -> Figures:
    """What the sidecar takes of frames that are made already: nobody can be faster than that."""
    shaper = Shaper()
    made = Replay(standing=0, length=4_000, rate=0, updates=False)
    items = watch_events(made.lines(0, made.length).splitlines())
    states = [item.event for item in items if isinstance(item, Added)]
    entries = [shaper.shape(state, "ADDED", None).entry for state in states]
    frames = [
        protocol.encode(
            "kube.events.warning", entries[at : at + _FRAME_EVENTS], chunk_id=f"{at:024}"
        )
        for at in range(0, len(entries), _FRAME_EVENTS)
    ]
    reader = protocol.AckReader()
    sent = in_flight = 0
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sidecar = new_sidecar(directory / "sidecar")
        stack.enter_context(sidecar)
        link = socket.create_connection(("127.0.0.1", sidecar.forward_port))
        stack.enter_context(link)
        before, began = usage(sidecar), time.monotonic()
        while sent < 200_000 * scale:
            link.sendall(frames[sent // _FRAME_EVENTS % len(frames)])
            sent += _FRAME_EVENTS
            in_flight += 1
            while in_flight == _WINDOW:
                in_flight -= len(reader.feed(link.recv(65536)))
        while in_flight:
            in_flight -= len(reader.feed(link.recv(65536)))
        seconds = time.monotonic() - began
        cost = price(before, usage(sidecar), events=sent)
    return {"rate": sent / seconds, "sidecar_cpu": cost, "bytes": len(entries[0])}


def bare(scale: float) -> Figures:
    """The same lines through orjson and msgpack and nothing else: how fast this machine is."""
    lines = Replay(standing=0, length=4_000, rate=0, updates=False).lines(0, 4_000).splitlines()
    pack = msgpack.Packer().pack
    rounds = max(1, int(50 * scale))
    began = time.process_time()
    for _ in range(rounds):
        for line in lines:
            event = orjson.loads(line)["object"]
            del event["metadata"]["managedFields"]
            pack(event)
    return {"cpu": (time.process_time() - began) / (rounds * len(lines)) * 1e6}


SCENARIOS: dict[str, Callable[[float], Any]] = {
    scenario.__name__: scenario
    for scenario in (
        idle,
        ceiling,
        reference,
        bare,
        stream,
        updates,
        first_list,
        latency,
        paced,
        memory,
        backpressure,
        extras,
    )
}


def _figures(result: Result, *, samples: bool = True) -> Figures:
    figures = asdict(result) | {"rate": result.rate}
    if not samples:
        del figures["samples"]
    return figures
