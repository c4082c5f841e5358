"""The sidecar's config: the real Fluent Bit takes every one that is rendered."""

from __future__ import annotations

import os
import re

import pytest
import yaml

from tests.chart.chart import (
    CASES,
    ROOT,
    config_of,
    env_of,
    leave_out_newer,
    pod_of,
    render,
    sidecar_of,
    write_config,
)
from tests.programs.fluentbit import dry_run
from tests.programs.required import required

WITH_CONFIG = [case for case in CASES if case != "existing-config-map"]
EXAMPLES = sorted((ROOT / "fluent" / "examples").glob("*.yaml"))


def used_variables(text):
    """The variables that have no default."""
    bare = re.sub(r"^\s*(#|--).*$", "", text, flags=re.MULTILINE)
    return set(re.findall(r"\$\{(\w+)\}", bare))


@pytest.mark.parametrize("case", WITH_CONFIG)
def test_fluent_bit_takes_the_config(case, tmp_path):
    objects = render(case)
    config = write_config(objects, tmp_path)
    leave_out_newer(config)
    variables = {
        name: value if isinstance(value, str) else "from-a-secret"
        for name, value in env_of(sidecar_of(objects)).items()
    }
    done = dry_run(required("fluent-bit"), config, variables)
    assert done.returncode == 0, done.stderr
    assert "configuration test is successful" in done.stdout + done.stderr
    assert "[error]" not in done.stderr
    assert "[ warn]" not in done.stderr


@pytest.mark.parametrize("case", WITH_CONFIG)
def test_every_variable_is_set_and_every_mounted_file_is_meant(case):
    objects = render(case)
    sidecar = sidecar_of(objects)
    text = "".join(config_of(objects).values())
    assert used_variables(text) <= set(env_of(sidecar))

    mounts = {mount["mountPath"] for mount in sidecar["volumeMounts"]}
    files = re.findall(r"/etc/eventrouter/tls/[\w./-]+", text)
    assert {os.path.dirname(file) for file in files} == {
        mount for mount in mounts if mount.startswith("/etc/eventrouter/tls/")
    }


@pytest.mark.parametrize("case", WITH_CONFIG)
def test_what_the_acks_rest_on_is_as_in_the_repository(case):
    rendered = config_of(render(case))["pipeline.yaml"]
    own = (ROOT / "fluent" / "pipeline.yaml").read_text()
    if case == "rules":
        # The watcher's input has processors, and nothing else is changed.
        rendered, own = yaml.safe_load(rendered), yaml.safe_load(own)
        assert rendered["pipeline"]["inputs"][0].pop("processors")
    assert rendered == own


@pytest.mark.parametrize("expression", ["/(?<!a*)b/", "/(?<n>a)(?<n>b)\\k<m>/"])
def test_fluent_bit_refuses_an_expression_that_only_it_can_judge(expression, tmp_path):
    rules = {"include": [{"message": expression}]}
    objects = render(values={"outputs": {"stdout": {"rules": rules}}})
    done = dry_run(required("fluent-bit"), write_config(objects, tmp_path), {})
    assert done.returncode != 0
    assert "error adding rule to condition" in done.stderr


def test_a_config_map_of_the_users_own_replaces_it_all():
    objects = render("existing-config-map")
    assert not [item for item in objects if item["kind"] == "ConfigMap"]
    assert env_of(sidecar_of(objects)).keys() == {"BUFFER_PATH", "HTTP_LISTEN", "LOG_LEVEL"}
    volumes = pod_of(objects)["volumes"]
    assert volumes[0] == {"name": "config", "configMap": {"name": "my-fluent-bit"}}


def test_filters_keep_their_order():
    text = config_of(render("filters"))["fluent-bit.yaml"]
    assert text.index("name: grep") < text.index("name: modify") < text.index("outputs:")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_fluent_bit_takes_the_examples(example):
    text = example.read_text()
    done = dry_run(required("fluent-bit"), example, dict.fromkeys(used_variables(text), "example"))
    assert done.returncode == 0, done.stderr
    assert "[error]" not in done.stderr
    assert "[ warn]" not in done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_say_which_variables_they_need(example):
    head = example.read_text().partition("\nincludes:")[0]
    for variable in used_variables(example.read_text()):
        assert variable in head
