"""`python -m tests.chart.released FOLDER …` writes the chart as a release packages it.

A checkout does not know where it will be published. So the release adds what depends on that: the
registry of the image, the addresses of the project, and what is new, from CHANGELOG.md. It needs
nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "eventrouter"
# What Artifact Hub calls a section of the changelog.
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@dataclass(frozen=True, slots=True)
class Release:
    """Where it is published."""

    registry: str  # such as ghcr.io/OWNER
    repository: str  # its URL
    tag: str

    @property
    def version(self) -> str:
        """The tag without its v."""
        return self.tag.removeprefix("v")


def write(folder: Path, release: Release) -> None:
    """The chart, with what is known of the release."""
    shutil.copytree(CHART, folder)
    values = folder / "values.yaml"
    text = values.read_text(encoding="utf-8")
    text = _replaced(text, '  registry: ""\n', f"  registry: {release.registry}\n")
    runbooks = f"{release.repository}/blob/{release.tag}/docs/operations.md"
    text = _replaced(text, '  runbookUrl: ""\n', f"  runbookUrl: {runbooks}\n")
    values.write_text(text, encoding="utf-8")
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    address = f"oci://{release.registry}/charts/eventrouter --version {release.version}"
    text = _replaced(text, "eventrouter charts/eventrouter ", f"eventrouter {address} ")
    readme.write_text(text, encoding="utf-8")
    chart = folder / "Chart.yaml"
    chart.write_text(_described(chart.read_text(encoding="utf-8"), release), encoding="utf-8")


def changes(changelog: str, version: str) -> list[dict[str, str]]:
    """What is new in a version, as Artifact Hub wants it: the kind and a line of plain text."""
    sections: dict[str, str] = dict(
        re.findall(r"(?ms)^## \[(.*?)\].*?\n(.*?)(?=^## \[|\Z)", changelog)
    )
    section = sections.get(version, sections.get("Unreleased", ""))
    listed = []
    for kind, text in re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^### |\Z)", section):
        for item in re.findall(r"(?ms)^- (.*?)(?=^- |^$|\Z)", text):
            if kind in KINDS:
                listed.append({"kind": kind.lower(), "description": _plain(item)})
    return listed


def _described(text: str, release: Release) -> str:
    raw = release.repository.replace("https://github.com/", "https://raw.githubusercontent.com/")
    fields = {
        "home": release.repository,
        "sources": [release.repository],
        "icon": f"{raw}/{release.tag}/charts/eventrouter/icon.svg",
    }
    head = "".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items())
    text = _replaced(text, "annotations:\n", f"{head}annotations:\n")
    text = _replaced(text, "image: eventrouter:", f"image: {release.registry}/eventrouter:")
    lines = [json.dumps(change) for change in changes(_changelog(), release.version)]
    listed = "".join(f"    - {line}\n" for line in lines)
    return f"{text.rstrip()}\n  artifacthub.io/changes: |\n{listed}"


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _plain(markdown: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(markdown.split()))
    return text.replace("`", "")


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise SystemExit(f"the chart has no longer {old!r}")
    return text.replace(old, new, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for option in ("registry", "repository", "tag"):
        parser.add_argument(f"--{option}", required=True)
    given = parser.parse_args()
    write(given.folder, Release(given.registry, given.repository.rstrip("/"), given.tag))


if __name__ == "__main__":
    main()
