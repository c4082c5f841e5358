"""The dashboards for Grafana have the form that Grafana's own schemas give them.

Grafana itself cannot be had from a package registry. Its types can, made of those schemas for each
kind of panel and query.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import GetPart

pytestmark = pytest.mark.e2e
FOLDER = Path(__file__).parents[2] / "dashboards" / "grafana"
# Grafana fills in an option that is left out. Of ad hoc filters the types know only the variable.
KNOWN = re.compile(
    r".*\.options\.[\w.]+: required field is missing from input"
    r"|templating\.list\[\d+\]\.VariableModel: unexpected field 'filters'"
)

Complain = Callable[[Path], list[str]]


@pytest.fixture
def complaints(part: GetPart) -> Complain:
    program = part("grafana-schema")

    def ask(path: Path) -> list[str]:
        done = subprocess.run(
            [program, path], capture_output=True, text=True, timeout=60, check=True
        )
        return [line for line in done.stdout.splitlines() if not KNOWN.fullmatch(line)]

    return ask


@pytest.mark.parametrize("name", ["events.json", "eventrouter.json"])
def test_a_dashboard_fits_the_schemas(complaints: Complain, name: str) -> None:
    assert not complaints(FOLDER / name)


def _misspell_an_option(board: Any) -> None:
    next(each for each in board["panels"] if each["type"] == "stat")["options"]["colour"] = "none"


def _misspell_a_query(board: Any) -> None:
    next(each for each in board["panels"] if each.get("targets"))["targets"][0]["exprs"] = "up"


def _give_a_grid_of_texts(board: Any) -> None:
    board["panels"][0]["gridPos"]["w"] = "12"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_misspell_an_option, "unexpected field 'colour'"),
        (_misspell_a_query, "unexpected field 'exprs'"),
        (_give_a_grid_of_texts, "gridPos.w: json: cannot unmarshal"),
    ],
)
def test_what_does_not_fit_is_seen(
    complaints: Complain, tmp_path: Path, spoil: Callable[[Any], None], said: str
) -> None:
    board = json.loads((FOLDER / "eventrouter.json").read_text())
    spoil(board)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(board))

    assert any(said in line for line in complaints(path)), complaints(path)
