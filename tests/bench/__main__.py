"""`make bench`: measures, prints the table, writes results.json and the plots."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from eventrouter import __version__
from tests.bench.accounting import compile_bytecode, machine
from tests.bench.plots import plots
from tests.bench.report import table
from tests.bench.scenarios import SCENARIOS
from tests.programs import find


def main() -> None:
    """Measure on this machine; a quiet one, or the figures are upper bounds."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=main.__doc__)
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS)
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times as many events (1)", metavar="FACTOR"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/bench"),
        help="folder for results",
        metavar="DIR",
    )
    parser.add_argument(
        "--again",
        type=Path,
        metavar="FILE",
        help="no measurement: table and plots of this file",
    )
    options = parser.parse_args()
    if options.again:
        results = json.loads(options.again.read_text())
    else:
        results = measure(options.only or list(SCENARIOS), options.scale)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for name, text in plots(results).items():
        (options.out / name).write_text(text)
    print(table(results))
    say(f"Results and plots are in {options.out}/")


def measure(names: list[str], scale: float) -> dict[str, object]:
    """The figures of these scenarios, one after the other."""
    sidecar = find("fluent-bit").path
    results: dict[str, object] = {
        "version": __version__,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "sidecar": _version(sidecar) if sidecar else "the demo's receiver",
    }
    if sidecar is None:
        say("No fluent-bit on the PATH: the demo's receiver stands in, which is slower.")
    compile_bytecode()
    for name in names:
        scenario = SCENARIOS[name]
        say(f"{name}: {' '.join((scenario.__doc__ or '').split())}")
        began = time.monotonic()
        results[name] = scenario(scale)
        say(f"  done in {time.monotonic() - began:.0f} s")
    return results


def _version(program: Path) -> str:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()[0]


def say(text: str) -> None:
    """Progress is for standard error; the table alone is on standard output."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
