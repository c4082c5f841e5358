"""Which way imports go, read from the imports: the layers, the laws, and what is pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "eventrouter"

# Lowest first. A module imports only from its own layer and the layers below. A name stands for
# the module, or for the whole folder.
LAYERS: list[set[str]] = [
    {"eventrouter", "errors", "clock", "process", "tls"},  # eventrouter itself: the version
    {"config", "ops"},
    {"kube", "forward", "setup"},
    {"capture", "checkpoint", "enrich"},
    {"pipeline", "check"},
    {"app"},
    {"standins"},
    {"demo"},
    {"cli", "__main__"},
]
# Of these pairs neither knows the other.
STRANGERS = [
    ("kube", "forward"),
    ("capture", "checkpoint"),
    ("capture", "enrich"),
    ("checkpoint", "enrich"),
    ("enrich", "forward"),
]
PURE = {
    "capture.record",
    "capture.states",
    "capture.truncation",
    "checkpoint.contents",
    "checkpoint.reached",
    "demo.cells",
    "demo.table",
    "enrich.allowance",
    "enrich.cache",
    "enrich.keys",
    "errors",
    "forward.batch",
    "forward.pacing",
    "forward.protocol",
    "kube.parsing",
    "kube.schema",
    "kube.status",
    "setup.dashboards.pages",
    "setup.dashboards.panels",
    "setup.dashboards.saved_objects",
    "setup.dashboards.visualizations",
    "setup.mapping",
    "setup.mark",
    "setup.objects",
    "setup.plan",
    "setup.roles",
}
# What a pure module may import from elsewhere: bytes, numbers and texts.
HARMLESS = {
    "__future__", "abc", "collections", "contextlib", "dataclasses", "datetime", "enum",
    "functools", "hashlib", "json", "math", "re", "struct", "typing",
    "unicodedata",
    "fluent", "msgpack", "msgspec", "orjson",
}  # fmt: skip


def dotted(path: Path) -> str:
    """`capture.record` for capture/record.py, `capture` for capture/ and its __init__.py."""
    parts = path.with_suffix("").relative_to(PACKAGE).parts
    return ".".join(part for part in parts if part != "__init__") or "eventrouter"


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module: str) -> Iterator[str]:
    """The absolute names of all that a module imports, in its functions too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import, which nothing here reads"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = set()
    for name in imported(module):
        if name.partition(".")[0] != "eventrouter":
            continue
        inner = name.removeprefix("eventrouter.")
        while inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        found.add(inner or "eventrouter")
    return found


def wing(module: str) -> str:
    return module.partition(".")[0]


def layer_of(module: str) -> int:
    for index, names in enumerate(LAYERS):
        if wing(module) in names:
            return index
    pytest.fail(f"eventrouter.{module} is in no layer: add it to LAYERS in {Path(__file__).name}")


def test_every_layer_names_modules_that_exist() -> None:
    listed = [name for names in LAYERS for name in names]

    assert len(listed) == len(set(listed)), "a name is in two layers"
    assert set(listed) == {wing(module) for module in MODULES}
    assert MODULES.keys() >= PURE


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    above = {name for name in ours(module) if layer_of(name) > layer_of(module)}

    assert not above, f"{module} imports from a layer above its own: {above}"


@pytest.mark.parametrize(
    ("one", "other"), [pytest.param(*pair, id=" and ".join(pair)) for pair in STRANGERS]
)
def test_two_wings_know_nothing_of_each_other(one: str, other: str) -> None:
    found = {
        f"{module} imports {name}"
        for module in MODULES
        for name in ours(module)
        if {wing(module), wing(name)} == {one, other}
    }

    assert not found


def test_the_standins_import_nothing_else_of_ours() -> None:
    found = {
        f"{module} imports {name}"
        for module in MODULES
        if wing(module) == "standins"
        for name in ours(module)
        if wing(name) != "standins"
    }

    assert not found


def test_the_watcher_and_the_setup_know_nothing_of_each_other() -> None:
    """The watcher never talks to a sink: the setup's command is all that does."""
    shared = {"clock", "config", "errors", "eventrouter", "ops", "process", "tls"}
    found = {
        f"{module} imports {name}"
        for module in MODULES
        for name in ours(module)
        if (wing(module) == "setup" and wing(name) not in shared | {"setup"})
        or (wing(name) == "setup" and wing(module) not in {"setup", "cli"})
    }

    assert not found


def test_no_two_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions count as well: they only hide a circle."""
    try:
        TopologicalSorter({module: ours(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES.values()}), ids=dotted)
def test_a_folder_s_init_holds_a_docstring_and_no_import(folder: Path) -> None:
    """A re-export would load a whole wing, and with it `kubernetes`, before settings are read."""
    statements = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body

    assert ast.get_docstring(ast.Module(statements, []))
    assert not [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_module_imports_only_what_is_pure(module: str) -> None:
    """No sockets, clocks or files: what it says depends on its arguments alone."""
    others = {name.partition(".")[0] for name in imported(module)} - {"eventrouter"}

    assert ours(module) <= PURE
    assert others <= HARMLESS


def test_only_one_module_wires() -> None:
    """Besides it, nobody knows who talks to the API server and who to the sidecar."""
    wiring = {
        module for module in MODULES if {"capture.reflector", "forward.sender"} <= ours(module)
    }

    assert wiring == {"pipeline"}


@pytest.mark.parametrize(
    ("library", "importers"),
    [
        ("kubernetes", {"kube.credentials_loader"}),
        ("fluent", {"forward.protocol"}),
        ("prometheus_client", {"ops.metrics", "ops.http", "ops.series"}),
    ],
)
def test_a_foreign_library_is_imported_at_its_edge_only(library: str, importers: set[str]) -> None:
    found = {
        module
        for module in MODULES
        if any(name.partition(".")[0] == library for name in imported(module))
    }

    assert found == importers


def test_nothing_imports_the_child_that_imports_kubernetes() -> None:
    """Else the 20 MiB of that package would be back in the process that forwards all day."""
    assert not [module for module in MODULES if "kube.credentials_loader" in ours(module)]
