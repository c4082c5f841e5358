"""Imports go one way, and what is called pure has neither sockets nor clocks nor files."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import fluent.sender
import pytest

import eventrouter

PACKAGE = Path(eventrouter.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
PURE = ("batch", "cut", "errors", "forward", "parsing", "record", "schema", "states")
# What a pure module of ours may ask of others: bytes, numbers and texts.
HARMLESS = {
    "__future__", "collections", "contextlib", "dataclasses", "datetime", "enum", "functools",
    "hashlib", "json", "math", "re", "struct", "typing",
    "fluent", "msgpack", "msgspec", "orjson",
}  # fmt: skip


def imported(module: str) -> set[str]:
    """All modules that this one names in an import, at its top or in a function."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(module: str) -> set[str]:
    return {
        name.split(".")[1]
        for name in imported(module)
        if name.startswith("eventrouter.") and name.split(".")[1] in MODULES
    }


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Those at the top of functions as well: they only hide a circle."""
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())

    assert order.index("record") < order.index("app")


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_only_what_is_pure(module: str) -> None:
    others = {name.split(".")[0] for name in imported(module)} - {"eventrouter"}

    assert ours(module) <= set(PURE)
    assert others <= HARMLESS


def test_only_one_place_wires() -> None:
    """Besides it and the command, nobody knows who talks to the API server and to the sidecar."""
    wiring = {module for module in MODULES if {"reflector", "sender"} <= ours(module)}

    assert len(wiring) == 1


@pytest.mark.parametrize(
    ("library", "importers"),
    [
        ("kubernetes", {"kube"}),
        ("fluent", {"forward"}),
        ("prometheus_client", {"metrics", "server"}),
    ],
)
def test_a_foreign_library_is_imported_at_its_edge_only(library: str, importers: set[str]) -> None:
    found = {
        module
        for module in MODULES
        if any(name.split(".")[0] == library for name in imported(module))
    }

    assert found == importers


def test_fluent_is_the_dependency_and_not_our_folder_of_that_name() -> None:
    """A `.py` in `fluent/` would be imported in its place, the repository's folder being first."""
    root = PACKAGE.parent

    assert not list((root / "fluent").rglob("*.py"))
    assert root not in Path(fluent.sender.__file__).parents or ".venv" in fluent.sender.__file__
    assert "fluent.sender" in sys.modules
