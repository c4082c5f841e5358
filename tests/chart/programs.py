"""The programs that the chart's tests run, and `python -m tests.chart.programs`, which builds them.

helm, helm-docs and helm-unittest are looked for in HELM, HELM_DOCS and HELM_UNITTEST, on the PATH,
and where the build keeps them. Fluent Bit is looked for in FLUENT_BIT and on the PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# helm comes from the module that the end-to-end tests have already.
_MODULES = {
    "helm": (ROOT / "tests/programs/go/tools", "helm.sh/helm/v4", "cmd/helm"),
    "helm-docs": (
        Path(__file__).parent / "tools",
        "github.com/norwoodj/helm-docs",
        "cmd/helm-docs",
    ),
    "helm-unittest": (
        Path(__file__).parent / "tools",
        "github.com/helm-unittest/helm-unittest",
        "cmd/helm-unittest",
    ),
}


def find(name: str) -> Path | None:
    """Where the program is, or None."""
    named = os.environ.get(name.upper().replace("-", "_"))
    if named:
        return Path(named)
    if on_path := shutil.which(name):
        return Path(on_path)
    if name in _MODULES and _built(name).is_file():
        return _built(name)
    return None


def _built(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "eventrouter" / "parts" / f"{name}-{_version(name)}" / name


def _version(name: str) -> str:
    folder, module, _ = _MODULES[name]
    found = re.search(rf"{re.escape(module)} v(\S+)", (folder / "go.mod").read_text())
    assert found, f"{folder}/go.mod does not require {module}"
    return found[1]


def build(name: str) -> None:
    """Build the program where `find` finds it."""
    folder, module, package = _MODULES[name]
    target = _built(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(f".{os.getpid()}")
    subprocess.run(
        [
            *("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"),
            *("-ldflags", f"-s -w -X main.version={_version(name)}"),
            *("-o", str(unfinished), f"{module}/{package}"),
        ],
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""},
        check=True,
    )
    unfinished.rename(target)


def main() -> int:
    for name in _MODULES:
        if find(name) is None:
            print(f"building {name} {_version(name)}, some minutes the first time", flush=True)
            build(name)
        print(f"{name:<14} {find(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
