"""Every values file of `ci/` renders to objects that each release of Kubernetes takes."""

from __future__ import annotations

import functools
import json

import pytest
import yaml

from tests.chart.chart import (
    CASES,
    CHART,
    FILES,
    NEWEST,
    WORKLOADS,
    helm,
    render,
    template,
)

try:
    from kubernetes_validate import utils as schemas
except ModuleNotFoundError:
    schemas = None
    VERSIONS = ["any"]
else:
    schemas.schema_contents = functools.cache(schemas.schema_contents)  # it reads them every time
    NEWEST_MINOR = int(schemas.latest_version().split(".")[1])
    VERSIONS = [f"1.{minor}" for minor in range(29, NEWEST_MINOR + 1)]
OPERATOR = "monitoring.coreos.com/v1"


def without_texts(item):
    """The object less what differs without a difference to its schema, so that few are left."""
    if item["kind"] == "ConfigMap":
        return {**item, "data": dict.fromkeys(item["data"], "")}
    if item["kind"] in WORKLOADS:
        annotations = item["spec"]["template"]["metadata"]["annotations"]
        sums = {name: "" for name in annotations if name.startswith("checksum/")}
        annotations.update(sums)
    return item


@pytest.mark.parametrize("case", CASES)
def test_lint_finds_nothing(case):
    helm("lint", "--strict", str(CHART), "--values", str(FILES[case]))


@pytest.mark.skipif(schemas is None, reason="kubernetes-validate is not installed")
@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_valid_to_the_letter(version):
    rendered = (json.dumps(item) for case in CASES for item in map(without_texts, render(case)))
    for item in map(json.loads, dict.fromkeys(rendered)):
        if item["apiVersion"] != OPERATOR:
            schemas.validate(item, version, strict=True)


@pytest.mark.parametrize("version", ["1.29.0", "1.33.2", NEWEST])
def test_output_does_not_depend_on_the_cluster(version):
    assert template("several", kube_version=version) == template("several")


def test_older_kubernetes_is_refused():
    with pytest.raises(Exception, match=r"chart requires kubeVersion: >=1\.29\.0-0"):
        render(kube_version="1.28.9")


@pytest.mark.parametrize("case", CASES)
def test_no_key_stands_twice_and_no_line_ends_in_blanks(case):
    text = template(case)
    for document in yaml.compose_all(text):
        _check_unique(document)
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def _check_unique(node):
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice in {node.start_mark}: {keys}"
        for _, value in node.value:
            _check_unique(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_unique(value)


def test_every_case_says_something_of_its_own():
    rendered = {case: template(case) for case in CASES}
    assert len(set(rendered.values())) == len(CASES)
