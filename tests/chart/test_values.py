"""The values: the schema knows all of them, and each does what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.chart.chart import (
    CHART,
    env_of,
    one,
    pod_of,
    render,
    sidecar_of,
    template_of,
    watcher_of,
    workload_of,
)

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
ES = "elasticsearch"


def resolve(schema):
    reference = schema.get("$ref")
    return SCHEMA["definitions"][reference.rsplit("/", 1)[1]] if reference else schema


def test_schema_and_values_have_the_same_keys():
    def compare(schema, values, path):
        properties = resolve(schema).get("properties")
        if properties is None:
            return
        # For a dependency's condition only: test_composition.py.
        keys = [key for key in properties if key != "enabled" or path]
        assert sorted(keys) == sorted(values), path
        for key, value in values.items():
            if isinstance(value, dict):
                compare(properties[key], value, f"{path}.{key}".strip("."))

    compare(SCHEMA, VALUES, "")


def test_schema_refuses_unknown_keys_wherever_it_names_any():
    def walk(schema, path):
        if isinstance(schema, dict):
            # An output is strict by its type.
            if "properties" in schema and path not in ("global", "output"):
                assert schema.get("additionalProperties") is False, path
            for name, value in schema.get("properties", {}).items():
                walk(value, f"{path}.{name}".strip("."))
            for name, value in schema.get("definitions", {}).items():
                walk(value, name)

    walk(SCHEMA, "")


def test_given_variables_replace_ours():
    assert env_of(sidecar_of(render("overrides")))["HTTP_LISTEN"] == "0.0.0.0"


@pytest.mark.parametrize(
    ("case", "strategy"),
    [
        ("default", "RollingUpdate"),
        ("high-availability", "RollingUpdate"),
        ("spread", "RollingUpdate"),
        ("persistence-existing", "Recreate"),
    ],
)
def test_two_pods_never_share_a_volume(case, strategy):
    assert workload_of(render(case))["spec"]["strategy"]["type"] == strategy


def test_each_container_has_a_security_context_of_its_own():
    objects = render("overrides")
    assert watcher_of(objects)["securityContext"]["runAsUser"] == 65534
    assert sidecar_of(objects)["securityContext"]["runAsUser"] == 65533


def test_fields_of_pods_are_put_where_kubernetes_has_them():
    pod = pod_of(render("overrides"))
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["schedulerName"] == "custom-scheduler"
    assert [container["name"] for container in pod["initContainers"]] == ["wait", "fluent-bit"]
    assert [container["name"] for container in pod["containers"]] == ["watcher", "proxy"]
    assert pod["terminationGracePeriodSeconds"] == 90
    assert "topologySpreadConstraints" not in pod


def test_replicas_are_spread_over_nodes_unless_it_is_said_otherwise():
    (constraint,) = pod_of(render("high-availability"))["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
    selector = workload_of(render("high-availability"))["spec"]["selector"]
    assert constraint["labelSelector"] == selector
    (constraint,) = pod_of(render("spread"))["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "topology.kubernetes.io/zone"


def test_a_changed_object_of_the_release_restarts_the_pods():
    def sums(values):
        annotations = template_of(render(values=values))["metadata"]
        return {
            name: value
            for name, value in annotations["annotations"].items()
            if name.startswith("checksum/")
        }

    def secret(text):
        data = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
        return {"extraObjects": [{**data, "stringData": {"password": text}}]}

    assert sums({}) != sums({"extraFields": {"a": "b"}})
    assert sums(secret("a")) == sums(secret("a")) != sums(secret("b"))


def test_a_budget_is_by_what_may_be_away_or_by_what_must_stay():
    budget = one(render("high-availability"), "PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], "minAvailable" in budget) == (1, False)
    budget = one(render("spread"), "PodDisruptionBudget")["spec"]
    assert (budget["minAvailable"], "maxUnavailable" in budget) == (2, False)


def test_the_lease_has_no_spec_that_an_upgrade_could_undo():
    for case in ("default", "overrides"):
        assert set(one(render(case), "Lease")) == {"apiVersion", "kind", "metadata"}


def test_a_probe_is_merged_into_its_default_and_null_takes_out():
    exec_probe = {"httpGet": None, "exec": {"command": ["eventrouter", "check"]}}
    probes = {"livenessProbe": exec_probe, "readinessProbe": None}
    watcher = watcher_of(render(values={"watcher": probes}))
    assert watcher["livenessProbe"] == {
        "exec": {"command": ["eventrouter", "check"]},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 6,
    }
    assert "readinessProbe" not in watcher


def test_a_size_may_be_a_number_of_bytes():
    """Helm reads it as a float."""
    watch = {"oldEventCache": 33554432, "enrich": {"kinds": ["Pod"], "cache": 8388608}}
    env = env_of(watcher_of(render(values={"watch": watch})))
    assert env["EVENTROUTER_OLD_EVENT_CACHE"] == "33554432"
    assert env["EVENTROUTER_ENRICH_CACHE"] == "8388608"


@pytest.mark.parametrize(
    "path",
    [
        "commonAnnotations",
        "commonLabels",
        "extraFields",
        "fluentBit.env",
        "global.imagePullSecrets",
        "imagePullSecrets",
        "podAnnotations",
        "podLabels",
        "watcher.env",
    ],
)
def test_a_key_whose_entries_are_commented_out_is_an_empty_one(path):
    values: Any = None
    for key in reversed(path.split(".")):
        values = {key: values}
    assert render(values=values) == render()


def test_resources_whose_entries_are_commented_out_keep_the_buffer_s_request():
    resources = sidecar_of(render(values={"fluentBit": {"resources": None}}))["resources"]
    assert resources == {"requests": {"ephemeral-storage": VALUES["buffer"]["size"]}}
