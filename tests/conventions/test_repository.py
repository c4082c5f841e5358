"""What holds for the repository as a whole: which way imports go, and what no file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "eventrouter"
MAX_LINES = 300

# Lowest first. A module imports only from its own layer and those below, and while it is loaded
# never in a circle. A name stands for the module, or for the whole sub-package.
LAYERS: dict[str, set[str]] = {
    "base": {
        "eventrouter",  # the version
        "clock",
        "config",
        "errors",
        "health",
        "logs",
        "metrics",
    },
    "core": {"batch", "cut", "forward", "parsing", "record", "schema", "states"},
    "flow": {"capture", "lister", "queue", "reflector", "retry"},
    "edge": {
        "buffer",
        "checkpoint",
        "election",
        "events",
        "keeper",
        "kube",
        "lease",
        "link",
        "sender",
        "server",
    },
    "wire": {"app", "check", "pipeline"},
    "command": {"process", "cli", "demo", "__main__"},
}
ORDER = list(LAYERS)

# Names of package registries' hosts, put together so that this file does not hold them either.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("registry", "npmjs", "org"),
        ("repo1", "maven", "org"),
        ("repo", "maven", "apache", "org"),
        ("static", "crates", "io"),
        ("deb", "debian", "org"),
    )
]
# A path on one person's machine.
OWN_PATH = re.compile(r"(?<![\w.~}/-])/(?:home/[\w.-]+|root|Users/[\w.-]+)(?:/|$)", re.MULTILINE)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def short(path: Path) -> str:
    """The name in LAYERS: `record` for record.py, `demo` for all that is in demo/."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "eventrouter" if first == "__init__" else first


def layer_of(name: str) -> int:
    for index, names in enumerate(LAYERS.values()):
        if name in names:
            return index
    pytest.fail(f"eventrouter.{name} is in no layer: add it to LAYERS in {Path(__file__).name}")


def statements(node: ast.AST, *, in_functions: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if in_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from statements(child, in_functions=in_functions)


def imports(path: Path, *, in_functions: bool = True) -> Iterator[str]:
    """The absolute names of all that a module imports; without functions: while it is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in statements(tree, in_functions=in_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.relative_to(ROOT).parts if node.level else ()
            base = ".".join(
                (*package[: len(package) - node.level + 1], *filter(None, [node.module]))
            )
            yield from (f"{base}.{alias.name}" for alias in node.names)


def own_imports(path: Path, *, in_functions: bool = True) -> set[str]:
    """The names in LAYERS of what a module imports from this package."""
    result = set()
    for name in imports(path, in_functions=in_functions):
        top, _, rest = name.partition(".")
        if top != "eventrouter":
            continue
        first = rest.partition(".")[0]
        is_module = (PACKAGE / f"{first}.py").exists() or (PACKAGE / first).is_dir()
        result.add(first if first and is_module else "eventrouter")
    return result


def tracked_files() -> list[Path]:
    try:
        answer = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so nothing says which files belong to it")
    paths = [ROOT / name for name in answer.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield path.relative_to(ROOT), content.decode("utf-8")


def test_every_layer_names_modules_that_exist() -> None:
    listed = [name for names in LAYERS.values() for name in names]
    present = {short(path) for path in modules()}
    assert len(listed) == len(set(listed)), "a module is in two layers"
    assert set(listed) <= present, f"in LAYERS but gone: {sorted(set(listed) - present)}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    own = layer_of(short(path))
    for name in sorted(own_imports(path)):
        assert layer_of(name) <= own, (
            f"{short(path)} ({ORDER[own]}) imports {name} ({ORDER[layer_of(name)]}): "
            f"a module imports only from its own layer and those below"
        )


def test_imports_make_no_circle() -> None:
    needs: dict[str, set[str]] = {}
    for path in modules():
        others = own_imports(path, in_functions=False) - {short(path)}
        needs.setdefault(short(path), set()).update(others)
    while ready := {name for name, others in needs.items() if not others & needs.keys()}:
        for name in ready:
            del needs[name]
    assert not needs, f"these import each other in a circle: {needs}"


def test_only_kube_imports_kubernetes() -> None:
    importers = {
        short(path) for path in modules() for name in imports(path) if name.startswith("kubernetes")
    }
    assert importers <= {"kube"}, "only eventrouter.kube imports the kubernetes package"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_and_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{path.name} has no docstring"
    lines = len(text.splitlines())
    assert lines <= MAX_LINES, f"{path.name} has {lines} lines: more than {MAX_LINES} are two ideas"


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [f"{name}: {match[0]}" for name, text in texts() for match in OWN_PATH.finditer(text)]
    assert not found


def test_no_file_names_the_host_of_a_package_registry() -> None:
    found = [f"{name}: {host}" for name, text in texts() for host in REGISTRY_HOSTS if host in text]
    assert not found


def test_every_text_is_utf8_and_ends_with_a_newline() -> None:
    found = [str(name) for name, text in texts() if text and not text.endswith("\n")]
    assert not found


def test_locked_requirements_name_no_index_and_have_hashes() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, f"{path.name} names an address"
        assert "index-url" not in text, f"{path.name} names an index"
        pins = re.findall(r"(?m)^[\w.-]+==", text)
        hashed = re.findall(r"(?m)^[\w.-]+==[^\n]*\\\n\s+--hash=", text)
        assert pins, f"{path.name} is empty"
        assert len(pins) == len(hashed), f"{path.name} has a version without a hash"
