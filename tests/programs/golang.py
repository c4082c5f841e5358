"""Programs in Go, built from the modules in `go/` at the versions of their go.mod and go.sum."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.programs.building import BuildError, Progress, cache_folder, make_once, run
from tests.programs.part import Part, Recipe, installed, variable_of, version_of

GO_MODULES = Path(__file__).parent / "go"


class Source(Enum):
    """Where a program may come from before the cache is looked into."""

    BUILD = "the build alone"
    ASSETS = "KUBEBUILDER_ASSETS, by Kubernetes' convention"
    INSTALLED = "its variable or the PATH"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program that an ordinary `go build` makes."""

    name: str
    folder: str  # of the go.mod that requires it, from go/ on
    module: str  # whose version in go.mod is the program's
    package: str = ""  # within the module
    source: Source = Source.BUILD
    is_own: bool = False  # its code is in that folder; `module` is what it is built from

    @property
    def recipe(self) -> Recipe:
        """How to get it."""
        return Recipe(self.find, self.build)

    @property
    def version(self) -> str:
        """The version in go.mod, without the v; of our own code with a digest of it."""
        text = (GO_MODULES / self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(self.module)} v(\S+)", text, re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.folder}/go.mod does not require {self.module}")
        return f"{found[1]}-{_digest(GO_MODULES / self.folder)}" if self.is_own else found[1]

    @property
    def built(self) -> Path:
        """Where its binary is kept."""
        return cache_folder() / f"{self.name}-{self.version}" / self.name

    def find(self) -> Part:
        """What the user has, else what was built."""
        if part := self._given():
            return part
        if self.built.is_file():
            return Part(self.name, self.version, self.built)
        if shutil.which("go") is None:
            return self._missing("install Go 1.26 or newer to build it")
        return self._missing(f"`python -m tests.programs {self.name}` builds it", can_be_built=True)

    def build(self, progress: Progress) -> None:
        """Build it into the cache. Raises BuildError."""
        progress(f"building {self.name} {self.version}, several minutes the first time")
        package = "." if self.is_own else f"{self.module}/{self.package}".rstrip("/")

        def build_in(folder: Path) -> None:
            run(
                [
                    *("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"),
                    *("-ldflags", self._linker_flags()),
                    *("-o", str(folder / self.name), package),
                ],
                cwd=GO_MODULES / self.folder,
                environment={"CGO_ENABLED": "0", "GOWORK": "off"},
            )

        make_once(self.built.parent, build_in)

    def _given(self) -> Part | None:
        assets = os.environ.get("KUBEBUILDER_ASSETS")
        if self.source is Source.ASSETS and assets:
            path = Path(assets) / self.name
            if path.is_file():
                return Part(self.name, version_of(path), path)
            return Part(self.name, "", None, f"KUBEBUILDER_ASSETS is set, but there is no {path}")
        return installed(self.name) if self.source is Source.INSTALLED else None

    def _missing(self, remedy: str, *, can_be_built: bool = False) -> Part:
        if self.source is Source.INSTALLED:
            remedy += f", or name its binary in {variable_of(self.name)}"
        return Part(self.name, self.version, None, remedy, can_be_built)

    def _linker_flags(self) -> str:
        """Programs learn their version when they are linked.

        Kubernetes' clients ask for the server's version and act on it.
        """
        flags = ["-s", "-w", "-X", f"main.version={self.version}"]
        if self.module == "k8s.io/kubernetes":
            major, minor, _ = self.version.split(".", 2)
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
                flags += ["-X", f"{package}.gitVersion=v{self.version}"]
                flags += ["-X", f"{package}.gitMajor={major}", "-X", f"{package}.gitMinor={minor}"]
        return " ".join(flags)


def _digest(folder: Path) -> str:
    """Changes with the code, so that no build of older code is taken for one of it."""
    files = sorted([*folder.glob("*.go"), *folder.glob("go.*")])
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:8]
