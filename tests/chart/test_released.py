"""A release packages a chart that names its image, where it comes from, and what is new."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.chart.chart import CHART, ROOT, helm
from tests.chart.released import Release, changes, write

RELEASE = Release("ghcr.io/owner", "https://github.com/owner/eventrouter", "v0.1.0")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.fixture
def released(tmp_path):
    folder = tmp_path / "eventrouter"
    write(folder, RELEASE)
    return folder


def test_a_release_names_its_image_and_its_runbooks(released):
    values = yaml.safe_load((released / "values.yaml").read_text())
    assert values["image"]["registry"] == "ghcr.io/owner"
    runbooks = "https://github.com/owner/eventrouter/blob/v0.1.0/docs/operations.md"
    assert values["prometheusRule"]["runbookUrl"] == runbooks
    text = helm("template", "events", str(released), "--kube-version", "1.36.0")
    assert "image: ghcr.io/owner/eventrouter:0.1.0\n" in text
    assert helm("lint", "--strict", str(released))


def test_its_readme_installs_it_from_where_it_is(released):
    readme = (released / "README.md").read_text()
    assert "helm install eventrouter oci://ghcr.io/owner/charts/eventrouter --version" in readme


def test_artifact_hub_is_told_of_images_and_changes(released):
    chart = yaml.safe_load((released / "Chart.yaml").read_text())
    assert chart["home"] == chart["sources"][0] == RELEASE.repository
    assert chart["icon"].endswith("/owner/eventrouter/v0.1.0/charts/eventrouter/icon.svg")
    assert (ROOT / "charts/eventrouter/icon.svg").is_file()
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert [image["image"] for image in images] == [
        "ghcr.io/owner/eventrouter:0.1.0",
        "docker.io/fluent/fluent-bit:5.1.1",
    ]
    listed = yaml.safe_load(chart["annotations"]["artifacthub.io/changes"])
    assert {change["kind"] for change in listed} >= {"added", "changed"}


def test_changes_are_those_of_the_version_in_plain_text():
    text = (
        "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Fixed\n\n"
        "- A [link](a.md) and\n  `code`.\n- Two.\n\n## [0.1.0]\n\n### Added\n\n- Old.\n"
    )
    fixed = [
        {"kind": "fixed", "description": "A link and code."},
        {"kind": "fixed", "description": "Two."},
    ]
    assert changes(text, "0.2.0") == fixed
    assert changes(text, "0.3.0") == []


def test_the_chart_names_the_images_that_it_runs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    sidecar = values["fluentBit"]["image"]
    ours, theirs = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert ours["image"] == f"eventrouter:{chart['appVersion']}"
    assert theirs["image"] == f"{sidecar['registry']}/{sidecar['repository']}:{sidecar['tag']}"


def test_nothing_that_is_packaged_says_that_nothing_is_published():
    for path in CHART.rglob("*"):
        if path.is_file():
            assert not re.search("(?i)published yet", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_digest(workflow):
    used = re.findall(r"uses: (\S+)(.*)", workflow.read_text(encoding="utf-8"))
    assert used
    for action, comment in used:
        if not action.startswith("./"):
            assert re.search(r"@[0-9a-f]{40}$", action), action
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), action


def test_what_is_released_is_scanned_before_and_signed_after():
    text = (ROOT / ".github/workflows/release.yaml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    for name in ("image", "chart"):
        assert jobs[name]["permissions"]["id-token"] == "write"
        assert "cosign sign --yes" in json.dumps(jobs[name]["steps"])
    steps = json.dumps(jobs["image"]["steps"])
    assert steps.index("scan-action") < steps.index('"push": true') < steps.index("cosign sign")
