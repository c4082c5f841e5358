"""The real programs the rig runs: where each is looked for, how it is built, what is missing.

Nothing here is downloaded as a binary: Go modules and Maven artifacts are what their projects
publish, checked against `go.sum` and the registries' own sums.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.programs.building import BuildError, Progress, cache_folder, make_once, run

HERE = Path(__file__).parent
GO_MODULES = HERE / "go"
ELASTICSEARCH_SOURCES = HERE / "elasticsearch"
OLDEST_JDK = 21
BUILDS_IT = "python -m tests.programs builds it"


@dataclass(frozen=True, slots=True)
class Part:
    """One program, as found. Without a `path` it is missing, and `remedy` says what helps."""

    name: str
    version: str
    path: Path | None
    remedy: str = ""
    can_be_built: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it can be run now."""
        return self.path is not None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one part is had: `find` never builds; `build` makes what `find` then finds."""

    find: Callable[[], Part]
    build: Callable[[Progress], None] | None
    is_needed: bool = True  # by every test
    is_built: bool = True  # unless it is asked for by name


def find(name: str) -> Part:
    """The part of this name, as it is now."""
    return RECIPES[name].find()


def missing() -> list[Part]:
    """The parts that the end-to-end tests need and that are not there, each with its remedy."""
    parts = (recipe.find() for recipe in RECIPES.values() if recipe.is_needed)
    return [part for part in parts if not part.is_there]


# --- Go programs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program that an ordinary `go build` makes from a module of `go/`, at go.sum's versions."""

    name: str
    module: str  # the folder below go/
    package: str
    versioned: str  # the module whose version in go.mod is the program's
    is_test_asset: bool  # whether KUBEBUILDER_ASSETS has it, by Kubernetes' convention

    @property
    def version(self) -> str:
        """The version in go.mod, without the v."""
        text = (GO_MODULES / self.module / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(self.versioned)} v(\S+)", text, re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.module}/go.mod does not require {self.versioned}")
        return found[1]

    @property
    def built(self) -> Path:
        """Where its binary is kept."""
        return cache_folder() / f"{self.name}-{self.version}" / self.name

    def find(self) -> Part:
        assets = os.environ.get("KUBEBUILDER_ASSETS")
        if self.is_test_asset and assets:
            path = Path(assets) / self.name
            if path.is_file():
                return Part(self.name, _version_of(path), path)
            return Part(self.name, "", None, f"KUBEBUILDER_ASSETS is set, but there is no {path}")
        if self.built.is_file():
            return Part(self.name, self.version, self.built)
        if shutil.which("go") is None:
            return Part(self.name, self.version, None, "install Go 1.26 or newer to build it")
        return Part(self.name, self.version, None, BUILDS_IT, can_be_built=True)

    def build(self, progress: Progress) -> None:
        progress(f"building {self.name} {self.version}, several minutes the first time")

        def build_in(folder: Path) -> None:
            run(
                [
                    *("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"),
                    *("-ldflags", self._linker_flags()),
                    *("-o", str(folder / self.name), self.package),
                ],
                cwd=GO_MODULES / self.module,
                environment={"CGO_ENABLED": "0", "GOWORK": "off"},
            )

        make_once(self.built.parent, build_in)

    def _linker_flags(self) -> str:
        """Kubernetes learns its version when it is linked; clients ask for it and act on it."""
        flags = ["-s", "-w"]
        if self.versioned == "k8s.io/kubernetes":
            major, minor, _ = self.version.split(".", 2)
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
                flags += ["-X", f"{package}.gitVersion=v{self.version}"]
                flags += ["-X", f"{package}.gitMajor={major}", "-X", f"{package}.gitMinor={minor}"]
        return " ".join(flags)


# --- Elasticsearch -------------------------------------------------------------------------------


def elasticsearch_version() -> str:
    """The version in pom.xml."""
    text = (ELASTICSEARCH_SOURCES / "pom.xml").read_text()
    found = re.search(r"<artifactId>elasticsearch</artifactId>\s*<version>([^<$]+)<", text)
    if found is None:
        raise BuildError("pom.xml has no version")
    return found[1]


def _elasticsearch_home() -> Path:
    return cache_folder() / f"elasticsearch-{elasticsearch_version()}"


def find_elasticsearch() -> Part:
    version, home = elasticsearch_version(), _elasticsearch_home()
    remedies = []
    if jdk() is None:
        remedies.append(f"install a JDK {OLDEST_JDK} or newer (JAVA_HOME, PATH or /usr/lib/jvm)")
    if not home.is_dir():
        remedies += ["install Maven"] if shutil.which("mvn") is None else []
        remedies += ["install libzstd (libzstd.so.1)"] if _zstd() is None else []
    if remedies:
        return Part("elasticsearch", version, None, ", ".join(remedies))
    if not home.is_dir():
        return Part("elasticsearch", version, None, BUILDS_IT, can_be_built=True)
    return Part("elasticsearch", version, home)


def build_elasticsearch(progress: Progress) -> None:
    """The layout of the distribution, out of the published jars, and the launcher's class."""
    version, java = elasticsearch_version(), jdk()
    zstd = _zstd()
    if java is None or zstd is None:
        raise BuildError(find_elasticsearch().remedy)
    progress(f"gathering elasticsearch {version}, 40 MB of jars")

    def build_in(home: Path) -> None:
        library, module = home / "lib", home / "modules" / "transport-netty4"
        module.mkdir(parents=True)
        run(
            [
                *("mvn", "-B", "-q", "-f", str(ELASTICSEARCH_SOURCES / "pom.xml")),
                *("dependency:copy-dependencies", "-DincludeScope=runtime"),
                f"-DoutputDirectory={library}",
            ],
            cwd=home,
        )
        # A module (a plugin that comes with the server) has a folder and a class loader of its own.
        for jar in [*library.glob("netty-*.jar"), *library.glob("transport-netty4-*.jar")]:
            jar.rename(module / jar.name)
        transport = next(module.glob("transport-netty4-*.jar"))
        run(["jar", "xf", str(transport), "META-INF/es-plugins"], cwd=home, path=java / "bin")
        for file in (home / "META-INF" / "es-plugins" / "transport-netty4").iterdir():
            file.rename(module / file.name)
        shutil.rmtree(home / "META-INF")
        # The codec best_compression loads the system's zstd from here.
        machine = {"x86_64": "x64", "aarch64": "aarch64"}.get(platform.machine(), "x64")
        natives = library / "platform" / f"linux-{machine}"
        natives.mkdir(parents=True)
        (natives / "libzstd.so").symlink_to(zstd)
        (home / "plugins").mkdir()
        run(
            [
                *("javac", "--release", str(OLDEST_JDK), "--module-path", str(library)),
                *("--add-modules=ALL-MODULE-PATH", "-d", str(home / "classes")),
                str(ELASTICSEARCH_SOURCES / "Launcher.java"),
            ],
            cwd=home,
            path=java / "bin",
        )

    make_once(_elasticsearch_home(), build_in)


def jdk() -> Path | None:
    """The first JDK that is new enough: of JAVA_HOME, the PATH, /usr/lib/jvm."""
    candidates = []
    if os.environ.get("JAVA_HOME"):
        candidates.append(Path(os.environ["JAVA_HOME"]))
    if compiler := shutil.which("javac"):
        candidates.append(Path(compiler).resolve().parent.parent)
    candidates += sorted(Path("/usr/lib/jvm").glob("*"))
    for home in candidates:
        try:
            release = (home / "release").read_text()
        except OSError:
            continue
        found = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
        if found and int(found[1]) >= OLDEST_JDK and (home / "bin" / "javac").is_file():
            return home
    return None


def _zstd() -> Path | None:
    folders = [f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/lib64"]
    paths = (Path(folder) / "libzstd.so.1" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


# --- programs that are found, never built --------------------------------------------------------


def find_fluent_bit() -> Part:
    name = os.environ.get("FLUENT_BIT") or shutil.which("fluent-bit")
    if not name:
        return Part("fluent-bit", "", None, "install Fluent Bit, or name its binary in FLUENT_BIT")
    path = Path(name)
    if not path.is_file():
        return Part("fluent-bit", "", None, f"FLUENT_BIT is set, but there is no {path}")
    return Part("fluent-bit", _version_of(path), path)


def find_openssl() -> Part:
    """It makes the API server's certificate and keys."""
    name = shutil.which("openssl")
    if name is None:
        return Part("openssl", "", None, "install openssl")
    return Part("openssl", _version_of(Path(name), "version"), Path(name))


_APISERVER = GoProgram(
    "kube-apiserver",
    "kubernetes",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes",
    True,
)
_ETCD = GoProgram("etcd", "tools", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", True)
_ETCDUTL = GoProgram(
    "etcdutl", "tools", "go.etcd.io/etcd/etcdutl/v3", "go.etcd.io/etcd/etcdutl/v3", False
)
_HELM = GoProgram("helm", "tools", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4", False)

RECIPES: dict[str, Recipe] = {
    "etcd": Recipe(_ETCD.find, _ETCD.build),
    "kube-apiserver": Recipe(_APISERVER.find, _APISERVER.build),
    "elasticsearch": Recipe(find_elasticsearch, build_elasticsearch),
    "fluent-bit": Recipe(find_fluent_bit, None),
    "openssl": Recipe(find_openssl, None),
    "etcdutl": Recipe(_ETCDUTL.find, _ETCDUTL.build, is_needed=False),  # for one of the drills
    # For tests of the chart, which have it built.
    "helm": Recipe(_HELM.find, _HELM.build, is_needed=False, is_built=False),
}


def _version_of(program: Path, argument: str = "--version") -> str:
    """The first thing in its answer that looks like a version."""
    try:
        answer = subprocess.run(
            [program, argument], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.search(r"\d+\.\d+\.\d+\S*", answer.stdout + answer.stderr)
    return found[0] if found else "unknown"
