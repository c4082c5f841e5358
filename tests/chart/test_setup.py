"""Before a pod starts, `eventrouter setup` runs for each output with an index to set up.

Whatever becomes of it, the pod starts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from eventrouter.ops.setup_report import SetupReport
from eventrouter.setup.mapping import Server
from tests.chart.chart import ROOT, env_of, notes, one, pod_of, refusal, render, watcher_of
from tests.support.kibanaserver import KibanaServer
from tests.support.ports import free_port
from tests.support.searchserver import SearchServer

HOST = {"host": "elastic.example.com"}


def containers_of(outputs=None, case="default", **values):
    """The init containers that set up an index, by name."""
    if outputs is not None:
        values["outputs"] = outputs
    found = pod_of(render(case, values))["initContainers"]
    return {item["name"]: item for item in found if item["name"].startswith("setup-")}


def setup_of(output, **values):
    """The one of an output `elasticsearch` with these values."""
    (found,) = containers_of({"elasticsearch": output}, **values).values()
    return found


SWITCHES = {"--dashboards", "--replace-index", "--force"}


def options_of(container):
    words = iter(container["args"])
    return {word: word in SWITCHES or next(words) for word in words}


def secret(name, key):
    return {"secretKeyRef": {"name": name, "key": key, "optional": True}}


def test_it_runs_after_the_users_own_and_before_the_sidecar():
    own = {"name": "own", "image": "own:1"}
    objects = render(values={"outputs": {"elasticsearch": HOST}, "initContainers": [own]})
    names = [container["name"] for container in pod_of(objects)["initContainers"]]
    assert names == ["own", "setup-elasticsearch", "fluent-bit"]


def test_there_is_none_without_an_index_to_set_up():
    assert not containers_of()
    assert not containers_of({"elasticsearch": HOST}, setup={"enabled": False})
    assert not containers_of({"elasticsearch": {**HOST, "setup": {"enabled": False}}})
    assert not containers_of(case="existing-config-map")


def test_there_is_none_for_records_that_look_different():
    assert not containers_of(case="example kubernetes-event-exporter-fields")


def test_it_is_told_where_the_server_is_and_what_to_write():
    found = containers_of(case="setup")
    assert options_of(found["setup-elasticsearch"]) == {
        "--elasticsearch": "https://elasticsearch.logging.svc:9200/es",
        "--index-prefix": "prod-events",
        "--retention": "90d",
        "--shards": "2",
        "--replicas": "0",
        "--wait": "10",
        "--report": "/setup-reports/elasticsearch.json",
        "--kibana": "https://kibana.example.com",
        "--dashboards": True,
        "--replace-index": True,
        "--force": True,
        "--ca-file": "/etc/eventrouter/tls/elasticsearch/ca.crt",
    }
    assert options_of(found["setup-second"])["--opensearch"] == "http://opensearch:9200"
    assert "--ca-file" not in found["setup-second"]["args"]
    assert set(found) == {"setup-elasticsearch", "setup-second"}
    assert options_of(setup_of(HOST)) == {
        "--elasticsearch": "https://elastic.example.com:9200",
        "--index-prefix": "kube-events",
        "--wait": "30",
        "--report": "/setup-reports/elasticsearch.json",
    }
    assert options_of(setup_of({"host": "fd00::1"}))["--elasticsearch"] == "https://[fd00::1]:9200"


def test_the_watcher_is_told_where_the_reports_are():
    for case, count in (("setup", 2), ("elasticsearch-eck", 1), ("default", 0)):
        objects = render(case)
        watcher = watcher_of(objects)
        written = [
            options_of(container)["--report"] for container in containers_of(case=case).values()
        ]
        assert len(written) == count
        assert env_of(watcher).get("EVENTROUTER_SETUP_REPORTS", "") == ",".join(written)
        where = [
            mount["mountPath"]
            for container in (watcher, *containers_of(case=case).values())
            for mount in container["volumeMounts"]
            if mount["name"] == "setup-reports"
        ]
        assert where == ["/setup-reports"] * (count + bool(count))
        # The pod's own: neither an upgrade nor another replica finds it.
        volumes = [each for each in pod_of(objects)["volumes"] if each["name"] == "setup-reports"]
        assert all("emptyDir" in each for each in volumes)
        assert len(volumes) == bool(count)


def test_it_writes_the_dashboards_where_a_kibana_is_named():
    found = containers_of(case="setup")
    assert options_of(found["setup-second"])["--kibana"] == "http://dashboards:5601/s/events"
    kibana = {"url": "https://kibana.example.com", "dashboards": False}
    options = options_of(setup_of(HOST, setup={"kibana": kibana}))
    assert options["--kibana"] == "https://kibana.example.com"
    assert "--dashboards" not in options
    text = set_up_notes({"elasticsearch": HOST}, setup={"kibana": kibana})
    assert "It writes the data view into https://kibana.example.com too." in text
    assert "create a data view" not in text


@pytest.mark.parametrize(
    "url", ["kibana:5601", "https://", "ftp://kibana", "https://u:p@kibana", "https://k/?a=b"]
)
def test_a_kibana_that_is_no_url_is_refused(url):
    assert "url" in refusal({"setup": {"kibana": {"url": url}}})
    output = {**HOST, "type": "elasticsearch", "setup": {"kibana": {"url": url}}}
    assert "url" in refusal({"outputs": {"a": output}})


def test_it_has_the_login_of_its_own_secret_which_may_be_gone():
    found = containers_of(case="setup")
    for name, wanted in (("elasticsearch", "elasticsearch-setup"), ("second", "second-setup")):
        assert env_of(found[f"setup-{name}"]) == {
            "EVENTROUTER_SETUP_USER": secret(wanted, "username"),
            "EVENTROUTER_SETUP_PASSWORD": secret(wanted, "password"),
            "EVENTROUTER_SETUP_API_KEY": secret(wanted, "apiKey"),
        }


def test_else_it_has_the_writers_login():
    login = {"existingSecret": "login", "usernameKey": "user"}
    assert env_of(setup_of({**HOST, "auth": login})) == {
        "EVENTROUTER_SETUP_USER": secret("login", "user"),
        "EVENTROUTER_SETUP_PASSWORD": secret("login", "password"),
    }
    (eck,) = containers_of(case="elasticsearch-eck").values()
    assert env_of(eck) == {
        "EVENTROUTER_SETUP_USER": "elastic",
        "EVENTROUTER_SETUP_PASSWORD": secret("quickstart-es-elastic-user", "elastic"),
    }
    (key,) = containers_of(case="elasticsearch-api-key").values()
    assert list(env_of(key)) == ["EVENTROUTER_SETUP_API_KEY"]
    assert "env" not in setup_of(HOST)


@pytest.mark.parametrize(
    ("key", "output"),
    [
        ("tls.verify", {"tls": {"verify": False}}),
        ("tls.certKey", {"tls": {"existingSecret": "a", "certKey": "b", "keyKey": "c"}}),
        ("extra.aws_auth", {"extra": {"aws_auth": True}}),
        ("extra.logstash_format", {"extra": {"logstash_format": False, "index": "events"}}),
        ("extra.logstash_prefix", {"extra": {"logstash_prefix": "events"}}),
        ("extra.logstash_prefix_key", {"extra": {"logstash_prefix_key": "$cluster"}}),
    ],
)
def test_it_is_left_out_where_it_could_not_do_it_and_the_notes_say_why(key, output):
    outputs = {"elasticsearch": {**HOST, **output}}
    assert not containers_of(outputs)
    obstacle = re.search(r"outputs\.elasticsearch\.(\S+)\. If", set_up_notes(outputs))
    assert obstacle
    assert obstacle[1] in (key, "extra.index")


def set_up_notes(outputs, **values):
    """What the notes say of the index."""
    text = notes(values={"outputs": outputs, **values})
    (found,) = re.findall(r"(?ms)^THE INDEX: elasticsearch\n(.*?)(?:\n\n[A-Z]|\Z)", text)
    return found


def test_the_notes_name_its_log_and_the_command_that_runs_it_again():
    text = set_up_notes({"elasticsearch": HOST})
    assert "kubectl logs -n logging deployment/events-eventrouter -c setup-elasticsearch\n" in text
    assert "kubectl rollout restart -n logging deployment/events-eventrouter\n" in text
    assert "curl" not in text


def test_the_notes_of_a_release_that_sets_up_nothing_have_the_command():
    text = set_up_notes({"elasticsearch": {**HOST, "indexPrefix": "a"}}, setup={"enabled": False})
    assert "setup --elasticsearch https://elastic.example.com:9200 --index-prefix a\n" in text
    assert "rollout restart" not in text


def test_it_is_as_restricted_as_the_watcher():
    objects = render(values={"outputs": {"elasticsearch": HOST}})
    found, watcher = setup_of(HOST), watcher_of(objects)
    for key in ("image", "imagePullPolicy", "resources", "securityContext"):
        assert found[key] == watcher[key]


def test_the_policy_of_the_network_lets_it_out():
    second = {**HOST, "type": "opensearch", "setup": {"kibana": {"url": "http://k:5601/s/a"}}}
    values = {
        "outputs": {"elasticsearch": {**HOST, "port": 9243}, "second": second},
        "setup": {"kibana": {"url": "https://kibana.example.com"}},
    }
    objects = render(values={**values, "networkPolicy": {"enabled": True}})
    ports = {
        port["port"]
        for rule in one(objects, "NetworkPolicy")["spec"]["egress"]
        for port in rule["ports"]
    }
    container = containers_of(**values)["setup-elasticsearch"]
    assert urlsplit(options_of(container)["--elasticsearch"]).port in ports
    assert {443, 5601} <= ports


def test_it_ends_soon_whatever_the_server_does():
    script = setup_of(HOST, setup={"waitSeconds": 20})["command"][2]
    assert script.startswith("timeout -k 5 35 eventrouter setup ")


def test_the_image_has_what_the_command_needs():
    """A shell and coreutils, which Debian's slim image has and a distroless one has not."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^FROM (\S+)$", text)[-1] == "${BASE}"
    assert re.search(r"(?m)^ARG BASE=python:3\.\d+-slim(@\S+)?$", text)


# ---- as the kubelet runs it


def run(container, reports, **variables):
    """Run it. `reports` stands for the pod's volume."""
    args = [word.replace("/setup-reports", str(reports)) for word in container["args"]]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*container["command"], *args],
        env={"PATH": programs, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def local(port, **setup):
    output = {"host": "127.0.0.1", "port": port, "tls": {"enabled": False}}
    return setup_of(output, setup={"waitSeconds": 30, **setup})


def report_in(folder):
    return SetupReport.read(folder / "elasticsearch.json")


def test_it_writes_the_policy_and_the_template(tmp_path):
    with SearchServer(Server.ELASTICSEARCH) as server:
        done = run(local(server.port, retention="90d"), tmp_path)
        assert set(server.objects) == {"/_ilm/policy/kube-events", "/_index_template/kube-events"}
    assert (done.returncode, done.stderr) == (0, "")
    assert "created    lifecycle policy kube-events: deletes events after 90d\n" in done.stdout
    assert report_in(tmp_path) == SetupReport("kube-events-*", True)


def test_another_retention_is_written_where_that_is_forced(tmp_path):
    """Not without: a mistake in the values must not change what is kept."""
    with SearchServer(Server.ELASTICSEARCH) as server:
        run(local(server.port), tmp_path)
        left = run(local(server.port, retention="90d"), tmp_path)
        assert "left       lifecycle policy kube-events" in left.stdout
        assert report_in(tmp_path).is_complete is False
        done = run(local(server.port, retention="90d", force=True), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "replaced   lifecycle policy kube-events: deletes events after 90d" in done.stdout
    assert report_in(tmp_path).is_complete is True


def test_a_pod_starts_without_a_login_that_may(tmp_path):
    with SearchServer(Server.ELASTICSEARCH) as server:
        server.missing = {"manage_ilm", "manage_index_templates"}
        done = run(local(server.port), tmp_path)
    assert done.returncode == 0
    assert "manage_index_templates" in done.stdout
    assert "The pod starts all the same." in done.stderr
    assert report_in(tmp_path).is_complete is False


def test_a_pod_starts_once_the_secret_for_setup_is_gone(tmp_path):
    with SearchServer(Server.ELASTICSEARCH) as server:
        server.authorization = "Basic c2V0dXA6c2VjcmV0"
        done = run(local(server.port, existingSecret="gone"), tmp_path)
    assert done.returncode == 0
    assert "wants a login, and none was given" in done.stderr
    # No alarm: nobody knows.
    assert report_in(tmp_path).is_complete is None


def test_a_pod_starts_where_the_server_is_away(tmp_path):
    done = run(local(free_port(), waitSeconds=1), tmp_path)
    assert done.returncode == 0
    assert "did not answer for 1 s" in done.stderr
    assert report_in(tmp_path).is_complete is False


def test_it_writes_the_dashboards_into_a_kibana(tmp_path):
    """A strict stand-in of Kibana: the real one cannot be had."""
    with SearchServer(Server.ELASTICSEARCH) as server, KibanaServer() as kibana:
        done = run(local(server.port, kibana={"url": kibana.url}), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "created    dashboard Kubernetes events: overview" in done.stdout
    assert ("dashboard", "kube-events-overview") in kibana.objects


def test_a_kibana_that_is_away_keeps_no_index_from_being_set_up(tmp_path):
    with SearchServer(Server.ELASTICSEARCH) as server:
        kibana = {"url": f"http://127.0.0.1:{free_port()}"}
        done = run(local(server.port, kibana=kibana, waitSeconds=1), tmp_path)
    assert done.returncode == 0
    assert "did not answer for 1 s" in done.stderr
    assert report_in(tmp_path).is_complete is True
