"""Elasticsearch in the layout of its distribution, gathered from the published jars.

Maven checks the jars against the registry's own sums.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from tests.programs.building import BuildError, Progress, cache_folder, make_once, run
from tests.programs.part import Part

ELASTICSEARCH_SOURCES = Path(__file__).parent / "elasticsearch"
OLDEST_JDK = 21


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
        return Part(
            "elasticsearch",
            version,
            None,
            "`python -m tests.programs elasticsearch` builds it",
            can_be_built=True,
        )
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
