"""What is there twice is the same: files of `fluent/`, the manifest, the chart's README."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from eventrouter import __version__
from tests.chart import index_files
from tests.chart.chart import (
    CHART,
    ROOT,
    of_kind,
    template,
    workload_of,
    write_readme,
)

COPIES = {
    CHART / "files" / "fluent": ROOT / "fluent",
    CHART / "files" / "index": ROOT / "fluent" / "index",
    CHART / "files" / "dashboards": ROOT / "dashboards" / "grafana",
}
README = CHART / "README.md"
MANIFEST = ROOT / "yaml" / "eventrouter.yaml"
WRITE = "run python -m tests.chart.manifest"
HEADER = """\
# eventrouter in kube-system, with the chart's default values. Rendered from charts/eventrouter by
# `python -m tests.chart.manifest`, never edited by hand.
#
#     kubectl create -f yaml/eventrouter.yaml
#     kubectl logs -f deployment/eventrouter -n kube-system
#     kubectl delete -f yaml/eventrouter.yaml
#
# yamllint disable
"""


def copies():
    return [
        pytest.param(copy, source / copy.relative_to(folder), id=copy.name)
        for folder, source in COPIES.items()
        for copy in sorted(folder.rglob("*"))
        if copy.is_file()
    ]


@pytest.mark.parametrize(("copy", "source"), copies())
def test_a_copy_has_the_same_bytes(copy: Path, source: Path):
    assert copy.read_bytes() == source.read_bytes(), WRITE


def test_the_files_of_the_index_are_what_setup_writes():
    assert {path.name: path.read_text() for path in index_files.FOLDER.iterdir()} == (
        index_files.files()
    ), WRITE


@pytest.mark.parametrize("name", ["index", "dashboards"])
def test_all_that_the_chart_reads_is_copied(name):
    folder = CHART / "files" / name
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in COPIES[folder].iterdir()
    }


def manifest() -> str:
    text = template(release="eventrouter", namespace="kube-system")
    objects = [part for part in text.split("---\n") if "helm.sh/hook" not in part]
    return HEADER + "---\n".join(objects)


def test_the_manifest_is_the_chart():
    assert MANIFEST.read_text() == manifest(), WRITE


def test_the_manifest_is_what_the_readme_names():
    objects = list(filter(None, yaml.safe_load_all(MANIFEST.read_text())))
    deployment = workload_of(objects)["metadata"]
    assert (deployment["namespace"], deployment["name"]) == ("kube-system", "eventrouter")
    assert not of_kind(objects, "Pod")


def test_the_chart_is_of_the_packages_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


def test_the_readme_is_made_from_the_values(tmp_path):
    copy = shutil.copytree(CHART, tmp_path / "eventrouter")
    (copy / "README.md").unlink(missing_ok=True)
    write_readme(copy)
    assert README.read_text() == (copy / "README.md").read_text(), WRITE


def test_no_heading_of_the_readme_is_there_twice():
    headings = re.findall(r"(?m)^#+ .*$", README.read_text())
    assert len(headings) == len(set(headings))


def test_the_readme_describes_every_value():
    rows = dict(re.findall(r"^\| ([\w.]+) \| .*? \| ([^|]*) \|$", README.read_text(), re.MULTILINE))

    def check(values, path):
        for key, value in values.items():
            name = f"{path}{key}"
            if isinstance(value, dict) and value and name not in rows:
                check(value, f"{name}.")
            else:
                assert rows.get(name, "").strip(), name

    check(yaml.safe_load((CHART / "values.yaml").read_text()), "")
