"""`eventrouter setup` against a stand-in, as a user runs it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from eventrouter.clock import Stop
from eventrouter.setup.command import main
from tests.support.clock import FastStop


class Outcome(NamedTuple):
    """What the command did and said."""

    code: int
    lines: list[str]
    errors: str

    @property
    def words(self) -> list[str]:
        """What became of each object."""
        return [line.split("  ")[0] for line in self.lines]


class SetupCommand:
    """Runs the command, in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: Any, stop: Stop | None = None) -> Outcome:
        try:
            code = main([str(word) for word in arguments], stop or FastStop())
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        said = self._capsys.readouterr()
        return Outcome(code, said.out.splitlines(), said.err)
