"""What holds for the repository as a whole: what each module has, and what no file may hold."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "eventrouter"
TESTS = ROOT / "tests"
MAX_LINES = 300

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
    """Those of the package, those that make the dashboards, and those that tests share."""
    shared = (path for path in TESTS.rglob("*.py") if not path.name.startswith("test_"))
    return sorted([*PACKAGE.rglob("*.py"), *(ROOT / "dashboards").glob("*.py"), *shared])


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


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
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
