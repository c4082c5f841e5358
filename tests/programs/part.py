"""A program that tests run: where it was found, or what to do about it."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.programs.building import Progress


@dataclass(frozen=True, slots=True)
class Part:
    """One program, as found. Without a `path` it is missing, and `remedy` says what helps."""

    name: str
    version: str
    path: Path | None
    remedy: str = ""
    can_be_built: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it can be run now."""
        return self.path is not None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to get one part: `find` never builds; `build` makes what `find` then finds."""

    find: Callable[[], Part]
    build: Callable[[Progress], None] | None = None


def variable_of(name: str) -> str:
    """The environment variable that names the program's binary: HELM_DOCS for helm-docs."""
    return name.upper().replace("-", "_")


def installed(name: str) -> Part | None:
    """The program that its variable names, else the one on the PATH, else None.

    A variable that names no program gives a missing part: the user asked for that one.
    """
    variable = variable_of(name)
    named = os.environ.get(variable)
    found = shutil.which(named or name)
    if found is not None:
        path = Path(found).absolute()
        return Part(name, version_of(path), path)
    return Part(name, "", None, f"{variable} is set, but there is no {named}") if named else None


@functools.cache
def version_of(program: Path) -> str:
    """The first thing that looks like a version in what the program says about itself."""
    for argument in ("--version", "version"):
        try:
            answer = subprocess.run(
                [program, argument], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found := re.search(r"\d+\.\d+\.\d+\S*", answer.stdout + answer.stderr):
            return found[0]
    return "unknown"
