"""The chart as the tests use it: rendered with some values, and looked into."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.output_types import OutputTypes
from tests.programs.required import required

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "eventrouter"
EXAMPLES = {f"example {path.stem}": path for path in sorted((CHART / "examples").glob("*.yaml"))}
# Values files by name: of `ci/`, one for each feature, and the examples for users.
FILES = {
    path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*.yaml"))
} | EXAMPLES
CASES = list(FILES)
WORKLOADS = ("Deployment", "StatefulSet")
NEWEST = "1.36.0"
# Ten times as fast, where PyYAML has libyaml.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Stands in the template of the chart's README where the tables are to come.
OUTPUT_TABLES = "<!-- the types of outputs -->\n"


class Refused(Exception):
    """Helm did not take the values; the message is Helm's."""


def helm(*arguments: str, text: str | None = None) -> str:
    """What helm prints. Skips the test without helm; raises Refused for an error."""
    done = subprocess.run(
        [required("helm"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


@functools.cache
def template(
    case: str = "default",
    *,
    values: str = "{}",
    release: str = "events",
    namespace: str = "logging",
    kube_version: str = NEWEST,
) -> str:
    """The chart's text, with the values of a file and more values as JSON."""
    return helm(
        *("template", release, str(CHART), "--namespace", namespace),
        *("--kube-version", kube_version, "--values", str(FILES[case])),
        *("--values", "-"),
        text=values,
    )


def render(case: str = "default", values: Json | None = None, **options: str) -> list[Json]:
    """The chart's objects."""
    text = template(case, values=json.dumps(values or {}), **options)
    return [document for document in yaml.load_all(text, Loader=LOADER) if document]


def refusal(values: Json) -> str:
    """The message with which the values are refused. Fails the test if they are not."""
    with pytest.raises(Refused) as refused:
        render(values=values)
    return str(refused.value)


def notes(case: str = "default", values: Json | None = None) -> str:
    """What is told after an installation."""
    text = helm(
        *("install", "events", str(CHART), "--namespace", "logging", "--dry-run=client"),
        *("--values", str(FILES[case]), "--values", "-"),
        text=json.dumps(values or {}),
    )
    return text.partition("\nNOTES:\n")[2]


def write_readme(folder: Path) -> None:
    """Make a chart's README of its values and outputs. Skips the test without helm-docs."""
    subprocess.run(
        [
            *(required("helm-docs"), "--chart-search-root", str(folder), "--log-level", "warning"),
            *("--sort-values-order", "file"),
        ],
        check=True,
        timeout=60,
    )
    readme = folder / "README.md"
    text, tables = readme.read_text(encoding="utf-8"), OutputTypes(folder).tables(level=3)
    assert text.count(OUTPUT_TABLES) == 1
    readme.write_text(text.replace(OUTPUT_TABLES, tables), encoding="utf-8")


def one(objects: list[Json], kind: str) -> Json:
    """The only object of its kind."""
    found = [item for item in objects if item["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of {kind}"
    return found[0]


def of_kind(objects: list[Json], kind: str) -> list[Json]:
    """All objects of a kind."""
    return [item for item in objects if item["kind"] == kind]


def workload_of(objects: list[Json]) -> Json:
    """The Deployment or the StatefulSet."""
    (found,) = (item for item in objects if item["kind"] in WORKLOADS)
    return found


def template_of(objects: list[Json]) -> Json:
    """The template of its pods."""
    template: Json = workload_of(objects)["spec"]["template"]
    return template


def pod_of(objects: list[Json]) -> Json:
    """The specification of its pods."""
    spec: Json = template_of(objects)["spec"]
    return spec


def sidecar_of(objects: list[Json]) -> Json:
    """The Fluent Bit container, which starts right before the watcher."""
    container: Json = pod_of(objects)["initContainers"][-1]
    assert container["name"] == "fluent-bit"
    return container


def watcher_of(objects: list[Json]) -> Json:
    """The watcher's container."""
    container: Json = pod_of(objects)["containers"][0]
    assert container["name"] == "watcher"
    return container


def pods(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """Each specification of a pod, with the name of what has it."""
    for item in objects:
        if item["kind"] in WORKLOADS:
            yield item["kind"], item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield "Pod " + item["metadata"]["name"], item["spec"]


def containers(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """Each container, with its name."""
    for owner, pod in pods(objects):
        for container in pod.get("initContainers", []) + pod["containers"]:
            yield f"{owner}, {container['name']}", container


def config_of(objects: list[Json]) -> dict[str, str]:
    """The files of the sidecar's config."""
    (volume,) = (item for item in pod_of(objects)["volumes"] if item["name"] == "config")
    (data,) = (
        item["data"]
        for item in of_kind(objects, "ConfigMap")
        if item["metadata"]["name"] == volume["configMap"]["name"]
    )
    return dict(data)


def outputs_of(objects: list[Json]) -> dict[str, Json]:
    """The outputs of the rendered config, by alias."""
    config = yaml.safe_load(config_of(objects)["fluent-bit.yaml"])
    return {output["alias"]: output for output in config["pipeline"]["outputs"]}


def env_of(container: Json) -> dict[str, Any]:
    """A container's variables: the value, or the reference in place of one."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def write_config(objects: list[Json], folder: Path) -> Path:
    """The ConfigMap as the sidecar sees it. The file to run."""
    for name, text in config_of(objects).items():
        (folder / name).write_text(text)
    return folder / "fluent-bit.yaml"


def leave_out_newer(config: Path) -> None:
    """Take out what the chart sets for a newer Fluent Bit only, so that the one here can check the
    rest.
    """
    text = config.read_text()
    config.write_text(re.sub(r"(?m)^ *drop_unrecoverable_records: true\n", "", text))
