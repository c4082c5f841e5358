"""`eventrouter check` in the pod knows the outputs to Elasticsearch and OpenSearch."""

from __future__ import annotations

import argparse

import pytest

from eventrouter.setup.mapping import Server
from eventrouter.setup.sinks import add_options, read_sinks
from tests.chart.chart import CASES, env_of, pod_of, render, watcher_of
from tests.programs.required import required
from tests.support.authority import Authority

SECRET = "from-a-secret"


def check_env(objects):
    """The watcher's variables for the check; a reference to a Secret as it is."""
    env = env_of(watcher_of(objects))
    return {name: value for name, value in env.items() if name.startswith("EVENTROUTER_CHECK_")}


def read(env, ca_file):
    """What the command makes of them in the pod, where the Secrets are there."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    variables = {}
    for name, value in env.items():
        variables[name] = value if isinstance(value, str) else SECRET
        if name.endswith("__CA_FILE"):
            variables[name] = str(ca_file)
    return {sink.output: sink for sink in read_sinks(parser.parse_args([]), variables)}


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "ca", openssl=required("openssl")).file


def test_it_knows_each_output_by_name_address_prefix_and_login(ca_file):
    env = check_env(render("setup"))
    sinks = read(env, ca_file)

    assert {name: (sink.server, sink.url) for name, sink in sinks.items()} == {
        "elasticsearch": (Server.ELASTICSEARCH, "https://elasticsearch.logging.svc:9200/es"),
        "second": (Server.OPENSEARCH, "http://opensearch:9200"),
        "third": (Server.OPENSEARCH, "https://opensearch:9200"),
    }
    assert sinks["elasticsearch"].parameters.prefix == "prod-events"
    assert sinks["elasticsearch"].login.header.startswith("Basic ")
    assert not sinks["second"].login.header
    user = env["EVENTROUTER_CHECK_ELASTICSEARCH__USER"]
    # The writer's login, not that of the setup; and the pod starts without the Secret.
    assert user == {"secretKeyRef": {"name": "writer", "key": "username", "optional": True}}


def test_a_ca_is_mounted_where_the_check_looks_for_it():
    objects = render("setup")
    watcher = watcher_of(objects)
    file = check_env(objects)["EVENTROUTER_CHECK_ELASTICSEARCH__CA_FILE"]
    mounts = {mount["name"]: mount["mountPath"] for mount in watcher["volumeMounts"]}

    assert mounts["tls-elasticsearch"] == file.rpartition("/")[0]
    assert "tls-elasticsearch" in {volume["name"] for volume in pod_of(objects)["volumes"]}


@pytest.mark.parametrize("case", CASES)
def test_the_command_takes_what_the_chart_gives_it(case, ca_file):
    read(check_env(render(case)), ca_file)


@pytest.mark.parametrize(
    "output",
    [
        {"host": "es", "tls": {"verify": False}},
        {"host": "es", "enabled": False},
    ],
)
def test_it_is_not_told_of_what_it_cannot_look_at(output):
    assert not check_env(render(values={"outputs": {"elasticsearch": output}}))


def test_a_cloud_id_is_no_address_for_it():
    assert not check_env(render("elasticsearch-cloud"))


def test_the_writers_login_can_be_kept_out_of_the_watcher():
    off = {"check": {"outputs": {"enabled": False}}}
    for case in ("setup", "elasticsearch-eck"):
        watcher = watcher_of(render(case, off))
        assert not [name for name in env_of(watcher) if name.startswith("EVENTROUTER_CHECK_")]
        assert "secretKeyRef" not in str(watcher)
        assert not [mount for mount in watcher["volumeMounts"] if mount["name"].startswith("tls-")]
