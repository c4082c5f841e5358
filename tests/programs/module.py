"""A program that is a Python module of this checkout."""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.programs.program import Program

ROOT = Path(__file__).resolve().parents[2]


class Module(Program):
    """`python -m` something, from here, whether or not something of that name is installed."""

    module = ""

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """What comes behind the module's name."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", self.module, *self.arguments()]

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
