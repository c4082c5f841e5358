"""`make bench-everyday`: measures, prints the tables, writes everyday.json and two plots."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventrouter import __version__
from tests.bench.accounting import compile_bytecode, machine
from tests.bench.everyday.contestant import CONTESTANTS
from tests.bench.everyday.day import one_run, say
from tests.bench.everyday.form import FULL, SHORT, Form
from tests.bench.everyday.pictures import pictures
from tests.bench.everyday.summary import summary
from tests.bench.everyday.tables import tables
from tests.programs import find


def main() -> None:
    """Measure what following 0 to 500 events a second costs, best on a machine that is quiet."""
    parser = argparse.ArgumentParser(prog="make bench-everyday ARGS=...", description=main.__doc__)
    parser.add_argument("--long", action="store_true", help="the full form, for 80 minutes")
    parser.add_argument("--runs", type=int, metavar="NUMBER", help="as many runs (1; long: 3)")
    parser.add_argument(
        "--only", action="append", choices=CONTESTANTS, metavar="NAME", help=", ".join(CONTESTANTS)
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="folder for results", metavar="DIR"
    )
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="no measurement: tables and plots of this file"
    )
    options = parser.parse_args()
    if options.again:
        results = json.loads(options.again.read_text())
        write(results, options.out)
    else:
        form = FULL if options.long else SHORT
        if options.runs:
            form = dataclasses.replace(form, runs=options.runs)
        measure(form, options.only or list(CONTESTANTS), out=options.out)


def measure(form: Form, names: list[str], *, out: Path) -> None:
    """Measure those of these that are there. The results so far are written after each run."""
    parts = {name: find(CONTESTANTS[name].part) for name in names if CONTESTANTS[name].part}
    skipped = {name: part.remedy for name, part in parts.items() if part.path is None}
    for name, remedy in skipped.items():
        say(f"{CONTESTANTS[name].title} is left out: {remedy}")
    if find("fluent-bit").path is None:
        say("No fluent-bit on the PATH: the demo's receiver stands in beside the watcher.")
    present = [name for name in names if name not in skipped]
    results: dict[str, Any] = {
        "version": __version__,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**machine(), "load": os.getloadavg()},
        "form": dataclasses.asdict(form),
        "programs": {part: find(part).version for part in ("fluent-bit", "go-informer")},
        "skipped": skipped,
        "runs": [],
    }
    compile_bytecode()
    say(f"This takes about {form.estimate(len(present)) / 60:.0f} minutes.")
    for number in range(1, form.runs + 1):
        say(f"Run {number} of {form.runs}")
        with_live = not any("live" in run for run in results["runs"])
        results["runs"].append(one_run(form, present, with_live=with_live))
        results["summary"] = summary(results["runs"])
        write(results, out)


def write(results: dict[str, Any], out: Path) -> None:
    """Write everything into the folder, and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "everyday.json").write_text(json.dumps(results, indent=1) + "\n")
    text = tables(results)
    (out / "everyday.md").write_text(text + "\n")
    for name, picture in pictures(results).items():
        (out / name).write_text(picture)
    print(text)
    say(f"Results, tables and plots are in {out}/")


if __name__ == "__main__":
    main()
