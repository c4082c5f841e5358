"""OpenSearch, gathered from the published jars: the server without its plugins, so without ISM."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.programs.building import BuildError, Progress, cache_folder, make_once, run
from tests.programs.jars import OLDEST_JDK, jdk
from tests.programs.part import Part

SOURCES = Path(__file__).parent / "opensearch"


def _version() -> str:
    found = re.search(r"<artifactId>opensearch</artifactId>\s*<version>([^<]+)<", _pom())
    if found is None:
        raise BuildError("pom.xml has no version")
    return found[1]


def _pom() -> str:
    return (SOURCES / "pom.xml").read_text()


def _home() -> Path:
    return cache_folder() / f"opensearch-{_version()}"


def find_opensearch() -> Part:
    version, home = _version(), _home()
    remedies = []
    if jdk() is None:
        remedies.append(f"install a JDK {OLDEST_JDK} or newer (JAVA_HOME, PATH or /usr/lib/jvm)")
    if not home.is_dir() and shutil.which("mvn") is None:
        remedies.append("install Maven")
    if remedies:
        return Part("opensearch", version, None, ", ".join(remedies))
    if not home.is_dir():
        remedy = "`python -m tests.programs opensearch` builds it"
        return Part("opensearch", version, None, remedy, can_be_built=True)
    return Part("opensearch", version, home)


def build_opensearch(progress: Progress) -> None:
    """The jars in `lib`, and the launcher's class."""
    java = jdk()
    if java is None:
        raise BuildError(find_opensearch().remedy)
    progress(f"gathering opensearch {_version()}, 100 jars")

    def build_in(home: Path) -> None:
        run(
            [
                *("mvn", "-B", "-q", "-f", str(SOURCES / "pom.xml")),
                *("dependency:copy-dependencies", "-DincludeScope=runtime"),
                f"-DoutputDirectory={home / 'lib'}",
            ],
            cwd=home,
        )
        run(
            [
                *("javac", "--release", str(OLDEST_JDK), "-cp", f"{home / 'lib'}/*"),
                *("-d", str(home / "classes"), str(SOURCES / "Launcher.java")),
            ],
            cwd=home,
            path=java / "bin",
        )

    make_once(_home(), build_in)
