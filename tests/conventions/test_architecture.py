"""The page about the architecture names files and functions that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "eventrouter"
PAGE = PACKAGE.parent / "docs" / "architecture.md"


def ways() -> str:
    """The sections that follow an event and a position from function to function."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index("## One event's way") : text.index("## Capture")]


def methods() -> set[str]:
    """`Class.method` of all classes of the package."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found |= {
                    f"{node.name}.{part.name}"
                    for part in node.body
                    if isinstance(part, ast.FunctionDef)
                }
    return found


def test_the_files_that_an_event_passes_are_there() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", ways()))

    assert named
    assert not {name for name in named if not (PACKAGE / name).is_file()}


def test_the_functions_that_an_event_passes_are_there() -> None:
    named = set(re.findall(r"`([A-Z]\w+\.\w+)`", ways()))

    assert named
    assert named <= methods()
