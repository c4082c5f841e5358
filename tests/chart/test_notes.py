"""What is told after an installation depends on the values."""

from __future__ import annotations

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


def test_with_elasticsearch_the_template_comes_first():
    text = notes("elasticsearch-eck")
    assert "NO ELASTICSEARCH" not in text
    assert "_index_template/kube-events" in text
    assert "_ilm/policy/kube-events" in text
    assert "service/quickstart-es-http" in text
    assert "K8S-Logging.Exclude" in text
    assert "index_patterns" not in text
    assert "change index_patterns to prod-events-*" in notes("elasticsearch")


def test_opensearch_has_steps_of_its_own():
    text = notes("opensearch")
    assert "_plugins/_ism/policies/kube-events" in text
    assert "_ilm" not in text


def test_a_config_map_of_ones_own_is_named():
    text = notes("existing-config-map")
    assert "your ConfigMap my-fluent-bit" in text
    assert "ELASTICSEARCH" not in text


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        (
            {"outputs": {"elasticsearch": {"host": "a", "tls": {"verify": False}}}},
            "outputs.elasticsearch.tls.verify is false",
        ),
        ({"outputs": {"stdout": {"match": "*.warning"}}}, "No output takes all events"),
        ({"outputs": {"elasticsearch": {"host": "a"}}}, "The buffer is an emptyDir"),
    ],
)
def test_warnings_are_given_where_they_apply(values, warning):
    assert warning in notes(values=values)
    assert warning not in notes()


def test_what_an_outage_does_is_told_for_each_output():
    text = notes("several")
    assert "elasticsearch: required" in text
    assert "http: optional: while it is down, its oldest events are dropped past 1073 MB" in text
    assert "only *.warning" in text
