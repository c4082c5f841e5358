"""The results as a table to read: each figure beside its goal and the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Figures = dict[str, Any]
Row = tuple[str, str, str, str]

_MIB = 2**20
_HEAD: Row = ("what", "eventrouter", "goal", "reference")


def table(results: Figures) -> str:
    """In Markdown, columns in line."""
    return aligned([_HEAD, *_rows(results)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of these rows, the first of which is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _rows(results: Figures) -> Iterator[Row]:
    naive = results.get("reference")
    if stream := results.get("stream"):
        yield ("new events a second", _number(stream["rate"]), "100,000", _times(stream, naive))
        yield ("- watcher, µs CPU an event", f"{stream['cpu']:.1f}", "10", _cpu(stream, naive))
        yield ("- Fluent Bit, µs CPU an event", f"{stream['sidecar_cpu']:.1f}", "", "")
        yield ("- peak memory, cache off", _mib(stream["peak"]), "64 MiB", _memory(stream, naive))
    if ceiling := results.get("ceiling"):
        yield ("Fluent Bit alone, ready frames a second", _number(ceiling["rate"]), "", "")
        yield ("- Fluent Bit, µs CPU an event", f"{ceiling['sidecar_cpu']:.1f}", "", "")
    if bare := results.get("bare"):
        yield ("orjson and msgpack alone, µs CPU an event", f"{bare['cpu']:.1f}", "", "")
    if updates := results.get("updates"):
        yield ("half updates, states a second", _number(updates["rate"]), "50,000", "")
        yield ("- watcher, µs CPU a state", f"{updates['cpu']:.1f}", "20", "")
    if memory := results.get("memory"):
        few, listed, streamed = memory["few"], memory["listed"], memory["streamed"]
        name = f"peak memory, {_number(few['events'])} listed and streamed"
        yield (name, _mib(few["peak"]), "80 MiB", "")
        name = f"peak memory, {_number(listed['events'])} listed and streamed"
        yield (name, _mib(streamed["peak"]), "80 MiB", "")
        yield ("- µs CPU an event, listed", f"{listed['cpu']:.1f}", "", "")
        yield ("- µs CPU a state, streamed", f"{streamed['cpu']:.1f}", "", "")
    if first_list := results.get("first_list"):
        name = f"list of {_number(first_list['events'])}, to the last ack"
        yield (name, f"{first_list['seconds']:.1f} s", "3 s", "")
    if latency := results.get("latency"):
        for name, goal in (("p50", ""), ("p99", "1,000 ms")):
            yield (f"write to ack at 100/s, {name}", f"{latency[name] * 1000:.0f} ms", goal, "")
    if idle := results.get("idle"):
        yield ("idle, share of a core", f"{idle['core']:.3%}", "0.2 %", "")
        yield ("- times a second that a thread wakes", f"{idle['switches']:.1f}", "", "")
        start = f"{naive['start_cpu']:.2f} s" if naive else ""
        yield ("start to watching, CPU", f"{idle['start_cpu']:.2f} s", "0.6 s", start)
        yield ("- memory then", _mib(idle["memory"]), "", _mib(naive["memory"]) if naive else "")
    for name, figures in results.get("extras", {}).items():
        yield (f"100 states/s about 200 pods, {name}, of a core", f"{figures['core']:.2%}", "", "")
        yield ("- look-ups a second", f"{figures['lookups']:.1f}", "", "")
        burst = figures["burst"]
        yield ("- 10,000 about 5,000 at the start, seconds", f"{burst['seconds']:.1f}", "", "")
        yield ("- their look-ups", _number(burst["lookups"]), "", "")
        if burst["lookups"]:
            yield ("- their records with all that was asked for", _number(burst["found"]), "", "")
        yield ("- peak memory", _mib(burst["peak"]), "", "")
    if slow := results.get("backpressure"):
        yield ("sidecar at 1,000/s against 50,000/s: peak memory", _mib(slow["peak"]), "", "")
        lost = slow["written"] - slow["acked"]
        yield ("- events missing at the end", _number(lost), "0", "")


def _times(figures: Figures, naive: Figures | None) -> str:
    return f"{_number(naive['rate'])}, 1/{figures['rate'] / naive['rate']:.1f}" if naive else ""


def _cpu(figures: Figures, naive: Figures | None) -> str:
    return f"{naive['cpu']:.0f}, {naive['cpu'] / figures['cpu']:.1f}x" if naive else ""


def _memory(figures: Figures, naive: Figures | None) -> str:
    return f"{_mib(naive['peak'])}, {naive['peak'] / figures['peak']:.1f}x" if naive else ""


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _mib(value: float) -> str:
    return f"{value / _MIB:.1f} MiB"
