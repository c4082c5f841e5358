"""What is told after an installation depends on the values."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.chart.chart import ROOT, notes

# Prints how it was called, in place of curl and kubectl.
STAND_IN = """\
#!/bin/sh
printf '%s' "${0##*/}"
printf ' [%s]' "$@"
printf '\\n'
"""


def run_steps(text: str, shell: str, folder) -> list[str]:
    """Run what the notes have indented, in a checkout. What curl and kubectl were called with."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell}")
    (steps,) = re.findall(r"(?ms)^BEFORE THE FIRST EVENTS: elasticsearch\n(.*?)(?:\n\n|\Z)", text)
    lines = [line for line in steps.splitlines() if line.startswith("    ")]
    for name in ("curl", "kubectl"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    (folder / "fluent").symlink_to(ROOT / "fluent")
    done = subprocess.run(
        [path, "-e", "-c", "\n".join(lines)],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_with_defaults_the_next_step_is_elasticsearch():
    text = notes()
    assert "deployment/events-eventrouter -c watcher -- eventrouter check\n" in text
    assert "helm test -n logging events\n" in text
    assert "kubectl logs -f -n logging deployment/events-eventrouter\n" in text
    assert "NO ELASTICSEARCH IS SET YET" in text
    assert "outputs.elasticsearch.host=HOST" in text
    assert "TWO ROUTES" not in text
    assert "must be on the nodes already" in text
    assert "CHART is what you gave to helm install" in text
    assert "stdout: what kubectl logs shows" in text


def test_with_elasticsearch_the_template_comes_first():
    text = notes("elasticsearch-eck")
    assert "NO ELASTICSEARCH" not in text
    assert "_index_template/kube-events" in text
    assert "_ilm/policy/kube-events" in text
    assert "service/quickstart-es-http" in text
    assert "K8S-Logging.Exclude" in text
    assert "index_patterns" not in text
    assert "change index_patterns to prod-events-*" in notes("elasticsearch")


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_the_steps_for_elasticsearch_can_be_pasted_into_any_shell(shell, tmp_path):
    policy, template, delete = run_steps(notes("elasticsearch"), shell, tmp_path)
    url = "https://elasticsearch.logging.svc:9200/es"
    assert policy == (
        "curl [-u] [USER:PASSWORD] [--cacert] [ca.crt] [-H] [Content-Type:application/json]"
        f" [{url}/_ilm/policy/kube-events] [-X] [PUT] [-d]"
        " [@fluent/index/elasticsearch-policy.json]"
    )
    assert f"[{url}/_index_template/kube-events]" in template
    assert re.search(r"/prod-events-\d{4}\.\d\d\.\d\d\] \[-X\] \[DELETE\]$", delete)
    secret = (tmp_path / "ca.crt").read_text()
    assert "[elasticsearch-certs]" in secret
    assert """go-template={{index .data "ca.crt" | base64decode}}""" in secret


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_the_steps_for_an_eck_cluster_check_its_certificate(shell, tmp_path):
    forward, policy, *_ = run_steps(notes("elasticsearch-eck"), shell, tmp_path)
    assert "[port-forward]" in forward
    assert "[--connect-to] [quickstart-es-http.logging.svc:9200:localhost:9200]" in policy
    assert "[--cacert] [ca.crt]" in policy
    assert " [-k]" not in policy


def test_an_index_that_is_there_already_is_told_of():
    for case in ("elasticsearch", "opensearch"):
        assert "An index that exists already, such as today's" in notes(case)


def test_nothing_of_the_notes_is_left_running():
    for case in ("elasticsearch", "elasticsearch-eck", "opensearch"):
        assert not re.search(r"(?m)&\s*$", notes(case))


def test_the_files_are_named_where_a_pulled_chart_has_them():
    text = notes("elasticsearch")
    assert "fluent/index of the repository" in text
    assert "eventrouter/files/index" in text


def test_opensearch_has_steps_of_its_own():
    text = notes("opensearch")
    assert "_plugins/_ism/policies/kube-events" in text
    assert "_ilm" not in text


def test_a_config_map_of_ones_own_is_named():
    text = notes("existing-config-map")
    assert "Your ConfigMap my-fluent-bit" in text
    assert "ELASTICSEARCH" not in text
    assert "BEFORE THE FIRST EVENTS" not in text


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        (
            {"outputs": {"elasticsearch": {"host": "a", "tls": {"verify": False}}}},
            "outputs.elasticsearch.tls.verify is false",
        ),
        ({"outputs": {"stdout": {"match": "*.warning"}}}, "No output takes all events"),
        ({"outputs": {"elasticsearch": {"host": "a"}}}, "The buffer is an emptyDir"),
        ({"outputs": {"elasticsearch": {"host": "a"}}}, "the events are written without a login"),
    ],
)
def test_warnings_are_given_where_they_apply(values, warning):
    assert warning in notes(values=values)
    assert warning not in notes()


def test_with_several_replicas_the_logs_of_all_are_shown():
    # `kubectl logs deployment/…` takes one pod, which may be one that stands by.
    text = notes(values={"replicaCount": 2})
    selector = "app.kubernetes.io/instance=events,app.kubernetes.io/name=eventrouter"
    assert f"kubectl logs -f -n logging --tail=-1 --selector {selector}\n" in text
    assert "kubectl logs -f -n logging deployment/" not in text


def test_what_an_outage_does_is_told_for_each_output():
    text = notes("several")
    assert "elasticsearch: required. Nothing is dropped while it is down" in text
    dropped = "While it is down, its oldest events are dropped past 24 MB"
    assert f"  http: optional. {dropped}. It takes *.warning\n" in text
    assert f"  archive: optional. {dropped}\n" in text


def test_an_output_without_an_address_is_told_of():
    assert "  elasticsearch: off, until you set outputs.elasticsearch.host\n" in notes()
    text = notes(values={"outputs": {"k": {"type": "kafka"}, "elasticsearch": {"enabled": False}}})
    assert "  k: off, until you set outputs.k.brokers\n" in text
    assert "  elasticsearch: off" not in text


def test_each_elasticsearch_has_steps_of_its_own():
    text = notes(values={"outputs": {name: {"type": "opensearch", "host": name} for name in "ab"}})
    assert "BEFORE THE FIRST EVENTS: a\n" in text
    assert "BEFORE THE FIRST EVENTS: b\n" in text
