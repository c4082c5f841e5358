"""The results as plots in SVG: lines over logarithmic or plain axes, and nothing else.

They bring their own background, light or dark as the reader's system is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

Figures = dict[str, Any]
Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 320, 70, 50, 40, 20
# A page in light and in dark: paper, ink, grid, and the lines one by one.
_LIGHT = ("#ffffff", "#24292f", "#d0d7de", "#1f6feb", "#d1242f", "#1a7f37", "#8250df")
_DARK = ("#0d1117", "#e6edf3", "#30363d", "#58a6ff", "#ff7b72", "#3fb950", "#d2a8ff")
_LINES = len(_LIGHT) - 3
# Colours alone don't tell lines apart for everybody.
_DASHES = ("none", "9 4", "2 3", "12 3 2 3")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands along an axis, how far it reaches, and whether by powers of ten."""

    title: str
    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """From 0 to 1."""
        if self.is_log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(max(value, self.low)) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[float]:
        if self.is_log:
            power = math.ceil(math.log10(self.low))
            while 10**power <= self.high:
                yield 10**power
                power += 1
            return
        step = 10 ** math.floor(math.log10(self.high - self.low))
        while (self.high - self.low) / step < 4:
            step /= 2
        value = math.ceil(self.low / step) * step
        while value <= self.high:
            yield value
            value += step


def plots(results: Figures) -> dict[str, str]:
    """The text of each file, by its name."""
    files = {}
    if memory := results.get("memory"):
        series: dict[str, Points] = {
            name: [(s["acked"], s["memory"] / _MIB) for s in memory[name]["samples"] if s["acked"]]
            for name in ("listed", "streamed")
        }
        most = max(x for points in series.values() for x, _ in points)
        files["memory.svg"] = plot(
            "The watcher's memory", Axis("events", 0, most), Axis("MiB", 0, 100), series
        )
    if paced := results.get("paced"):
        offered = [(run["offered"], run["rate"]) for run in paced]
        span = (min(x for x, _ in offered), max(x for x, _ in offered))
        through = Axis("events a second, acknowledged", *span, is_log=True)
        files["throughput.svg"] = plot(
            "Throughput",
            Axis("events a second, offered", *span, is_log=True),
            through,
            {"offered": [(x, x) for x, _ in offered], "acknowledged": offered},
        )
        cost = [(run["offered"], run["cpu"] * run["rate"] / 1e4) for run in paced]
        files["cpu.svg"] = plot(
            "The watcher's CPU",
            Axis("events a second, offered", *span, is_log=True),
            Axis("% of a core", 0, 100),
            {"watcher": cost},
        )
    if latency := results.get("latency"):
        marks = latency["percentiles"]
        points = [(percent, 1000 * value) for percent, value in enumerate(marks, 1)]
        files["latency.svg"] = plot(
            "From write to ack at 100 events a second",
            Axis("percentile", 0, 100),
            Axis("ms", 0, max(y for _, y in points) * 1.1),
            {"latency": points},
        )
    return files


def plot(title: str, x: Axis, y: Axis, series: dict[str, Points]) -> str:
    """One plot, as a whole SVG file."""
    across, up = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - _TOP

    def at(point: tuple[float, float]) -> str:
        left = _LEFT + across * x.place(point[0])
        return f"{left:.1f},{_HEIGHT - _BOTTOM - up * y.place(point[1]):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<style>{_colours(_LIGHT)}",
        f"@media (prefers-color-scheme: dark) {{ {_colours(_DARK)} }}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
        _text(_WIDTH / 2, 20, title, "middle", "bold"),
        _text(_LEFT + across / 2, _HEIGHT - 10, x.title, "middle"),
        _text(8, _TOP - 12, y.title, "start"),
    ]
    for tick in x.ticks():
        left = _LEFT + across * x.place(tick)
        parts.append(_line(left, _TOP, left, _HEIGHT - _BOTTOM))
        parts.append(_text(left, _HEIGHT - _BOTTOM + 16, _number(tick), "middle"))
    for tick in y.ticks():
        height = _HEIGHT - _BOTTOM - up * y.place(tick)
        parts.append(_line(_LEFT, height, _WIDTH - _RIGHT, height))
        parts.append(_text(_LEFT - 6, height + 4, _number(tick), "end"))
    for number, (name, points) in enumerate(series.items()):
        style = (
            f'class="line{number % _LINES}" fill="none" stroke-width="2" '
            f'stroke-dasharray="{_DASHES[number % len(_DASHES)]}"'
        )
        parts.append(f'<polyline points="{" ".join(map(at, points))}" {style}/>')
        if len(series) > 1:
            height = _TOP + 16 * (number + 1)
            parts.append(f'<path d="M {_LEFT + 12} {height - 4} h 36" {style}/>')
            parts.append(_text(_LEFT + 56, height, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _colours(colours: Sequence[str]) -> str:
    paper, ink, grid, *lines = colours
    rules = [f".paper {{fill: {paper}}} text {{fill: {ink}}} line {{stroke: {grid}}}"]
    rules += [f".line{number} {{stroke: {colour}}}" for number, colour in enumerate(lines)]
    return " ".join(rules)


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="1"/>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"
