"""The folder fluent/ has the name of fluent-logger's package, and must never stand in for it."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import run_script

ROOT = Path(__file__).parents[2]


def test_the_folder_holds_no_python() -> None:
    found = [path.name for path in (ROOT / "fluent").rglob("*.py*")]
    assert not found, f"a Python file in fluent/ hides fluent-logger's package: {found}"


def test_these_tests_are_no_package_named_fluent() -> None:
    found = list((ROOT / "tests/fluent").rglob("__init__.py"))
    assert not found, "with an __init__.py, tests/fluent could be imported as fluent"


def test_fluent_is_fluent_logger_even_from_here() -> None:
    code = "import fluent.sender; print(fluent.sender.__file__); fluent.sender.EventTime(1)"
    answer = run_script(code)
    assert answer.returncode == 0, answer.stderr
    assert "site-packages" in answer.stdout
