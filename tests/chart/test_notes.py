"""What is told after an installation depends on the values."""

from __future__ import annotations

import re

import pytest

from tests.chart.chart import notes


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


def test_with_elasticsearch_its_index_is_told_of():
    text = notes("elasticsearch-eck")
    assert "NO ELASTICSEARCH" not in text
    assert "THE INDEX: elasticsearch\n" in text
    assert "create a data view of kube-events-* with @timestamp" in text
    assert "superuser elastic, until outputs.elasticsearch.auth.existingSecret" in text
    assert "K8S-Logging.Exclude" in text
    assert "create a data view of prod-events-*" in notes("elasticsearch")
    assert "In OpenSearch Dashboards, create an index pattern" in notes("opensearch")


def test_nothing_of_the_notes_is_left_running():
    for case in ("elasticsearch", "elasticsearch-eck", "opensearch"):
        assert not re.search(r"(?m)&\s*$", notes(case))


def test_a_config_map_of_ones_own_is_named():
    text = notes("existing-config-map")
    assert "Your ConfigMap my-fluent-bit" in text
    assert "ELASTICSEARCH" not in text
    assert "THE INDEX" not in text


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


def test_each_index_is_told_of():
    text = notes(values={"outputs": {name: {"type": "opensearch", "host": name} for name in "ab"}})
    assert "THE INDEX: a\n" in text
    assert "THE INDEX: b\n" in text
