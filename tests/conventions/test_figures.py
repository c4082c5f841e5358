"""The figures that the documentation shows are those that were recorded, not typed by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from tests.bench import report
from tests.bench.everyday.tables import costs, tables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
DRILLS = (ROOT / "docs" / "drills.md").read_text(encoding="utf-8")
EVERYDAY = json.loads((ROOT / "docs" / "performance" / "everyday.json").read_text(encoding="utf-8"))
RESULTS = json.loads((ROOT / "docs" / "performance" / "results.json").read_text(encoding="utf-8"))


class Drill(NamedTuple):
    """A row of the drills' tables: written, in Elasticsearch, forgotten, lost, twice."""

    written: int
    held: int
    forgotten: int
    lost: int
    twice: int


def drills() -> list[Drill]:
    rows = re.findall(r"(?m)^\| [^|]+ " + r"\| (\d+) " * 5 + r"\| [\d.]+ s \|$", DRILLS)
    return [Drill(*map(int, row)) for row in rows]


def test_the_readme_has_the_drills_sums() -> None:
    rows = drills()
    lost, twice, held = (
        sum(getattr(row, name) for row in rows) for name in ("lost", "twice", "held")
    )

    assert rows
    assert f"**{lost} lost, {twice} stored twice** | of {held:,} states, in {len(rows)} " in README


def test_a_drill_s_figures_add_up() -> None:
    for row in drills():
        assert row.written == row.held + row.forgotten + row.lost, row


def test_the_readme_has_the_recorded_rate() -> None:
    rate = RESULTS["stream"]["rate"]

    assert f"**{rate:,.0f} events a second**" in README
    assert f"{rate / RESULTS['reference']['rate']:.1f} times as many" in README


def test_the_page_about_performance_has_the_recorded_table() -> None:
    assert report.table(RESULTS) in PERFORMANCE


def test_the_page_about_performance_has_the_recorded_ordinary_day() -> None:
    assert costs(EVERYDAY) in PERFORMANCE
    for table in re.findall(r"(?m)(?:^\|.*\n)+", tables(EVERYDAY) + "\n"):
        assert table in PERFORMANCE


def test_the_readme_has_the_recorded_ordinary_day() -> None:
    figures = EVERYDAY["summary"]
    share, more = (sum(figures["pair"][rate]["cpu"].values()) for rate in ("10", "100"))
    informer = sum(figures["informer"]["100"]["cpu"].values())
    memory = sum(size["resident"] for size in figures["live"]["pair"]["memory"].values())

    assert f"**{share:.1%} of a core and {memory / 2**20:.0f} MiB**" in README
    assert f"{more:.1%} at 100, where an informer in Go takes {informer:.1%}" in README
