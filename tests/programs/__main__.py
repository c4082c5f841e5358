"""`python -m tests.programs [NAME...]`: build what can be built, and say what is there.

A name is a program's or a group's: `e2e` is all that the end-to-end tests and the drills use, and
what you get without names; `chart` is what the chart's tests use besides, `bench` what the everyday
bench compares with. The exit code is 1 if a build failed, and 0 if something is missing that only
you can install: the tests that need it are then skipped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from tests.programs.building import BuildError, Progress
from tests.programs.catalog import GROUPS, RECIPES
from tests.programs.part import Part


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    choices = [*GROUPS, *RECIPES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(choices))
    parser.add_argument("--no-build", action="store_true", help="only say what is there")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(choices):
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    names = [program for name in options.names or ["e2e"] for program in GROUPS.get(name, (name,))]

    failed = False
    for name in names:
        if not options.no_build:
            failed |= not _build(name)
    print(table([RECIPES[name].find() for name in names]))
    return 1 if failed else 0


def _build(name: str) -> bool:
    """Build the part if that can be done and is not yet. False if that failed twice: a download
    may break off once.
    """
    recipe = RECIPES[name]
    part = recipe.find()
    if recipe.build is None or not part.can_be_built:
        return True
    started = time.monotonic()
    if not (_is_built(name, recipe.build) or _is_built(name, recipe.build)):
        return False
    print(f"built {name} in {time.monotonic() - started:.0f} s", flush=True)
    return True


def _is_built(name: str, build: Callable[[Progress], None]) -> bool:
    try:
        build(lambda line: print(line, flush=True))
    except BuildError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return False
    return True


def table(parts: list[Part]) -> str:
    """One line for each part: name, version, and where it is or what to do about it."""
    rows = [
        (part.name, part.version or "-", str(part.path) if part.path else f"MISSING: {part.remedy}")
        for part in parts
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
