"""What is off by default: rights for what is looked up, variables, alerts for the cluster."""

from __future__ import annotations

import pytest

from eventrouter import cli
from eventrouter.enrich.kinds import KNOWN, parse_kinds
from tests.chart.chart import env_of, of_kind, one, refusal, render, watcher_of

ROLLOUT = "Rollout.v1alpha1.argoproj.io/rollouts"
EVENTS = {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]}


def enrich(*kinds, **more):
    return {"watch": {"enrich": {"kinds": list(kinds), **more}}}


def variables(case):
    """What the watcher gets in its variables, but for its checkpoint, which names a variable."""
    given = env_of(watcher_of(render(case)))
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and name != "EVENTROUTER_CHECKPOINT"
    }


def rule(kind):
    return {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["get"]}


def test_by_default_there_is_nothing_of_it():
    objects = render("default")
    assert one(objects, "ClusterRole")["rules"] == [EVENTS]
    assert not [name for name in variables("default") if "ENRICH" in name or "COUNT" in name]


@pytest.mark.parametrize("name", [*KNOWN, ROLLOUT, "Endpoints.v1/endpoints"])
def test_each_kind_has_exactly_its_right(name):
    (kind,) = parse_kinds(name)
    role = one(render(values=enrich(name)), "ClusterRole")
    assert role["rules"] == [EVENTS, rule(kind)]


def test_in_some_namespaces_only_what_a_role_cannot_give_is_in_a_cluster_role():
    objects = render("enrich-namespaces")
    roles = [role for role in of_kind(objects, "Role") if EVENTS in role["rules"]]
    assert {role["metadata"]["namespace"] for role in roles} == {"team-a", "team-b"}
    for role in roles:
        assert role["rules"] == [EVENTS, rule(KNOWN["Pod"]), rule(KNOWN["Namespace"])]
    assert one(objects, "ClusterRole")["rules"] == [rule(KNOWN["Node"])]
    binding = one(objects, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == one(objects, "ClusterRole")["metadata"]["name"]


def test_in_some_namespaces_without_nodes_there_is_no_cluster_role():
    values = enrich("Pod")
    values["watch"]["namespaces"] = ["team-a"]
    assert not of_kind(render(values=values), "ClusterRole")


def test_the_watcher_takes_the_variables():
    settings = cli.read_config(cli.parser().parse_args([]), variables("enrich"))
    assert settings.enrich == parse_kinds(
        f"Pod,ReplicaSet,Deployment,Job,CronJob,Node,Namespace,{ROLLOUT}"
    )
    assert settings.enrich_labels == ("app.kubernetes.io/name", "team")
    assert settings.enrich_annotations == ("example.com/owner",)
    assert (settings.enrich_cache, settings.enrich_rate) == (16 * 2**20, 20)
    assert (settings.count_events, settings.count_events_series) == (True, 5000)


@pytest.mark.parametrize(
    "kind",
    [
        "Secret",
        "secrets",
        "ConfigMap",
        "Secret.v1/secrets",
        "Pod.v1/secrets",
        "Foo.v1.example.com/configmaps",
        "SECRET.v1/x",
        "Foo.v1/Secrets",
    ],
)
def test_secrets_and_config_maps_are_refused(kind):
    assert "reads no Secrets and no ConfigMaps" in refusal(enrich("Pod", kind))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (enrich("Banana"), "watch.enrich.kinds: Banana is neither one of CronJob, DaemonSet"),
        (enrich("Foo.v1/pods/log"), "watch.enrich.kinds: Foo.v1/pods/log is neither"),
        (enrich("Pod,Secret"), "watch.enrich.kinds"),
        (enrich(labels=["app"]), "watch.enrich.kinds: must be set"),
        (enrich("Pod", annotations=["*"]), "watch.enrich.annotations: must not have *"),
        (
            enrich("Pod", annotations=["kubectl.kubernetes.io/last-applied-configuration"]),
            "watch.enrich.annotations: must not have kubectl",
        ),
        (enrich("Pod", labels=["a/b/c"]), "at '/watch/enrich/labels/0'"),
        (enrich("Pod", cache="-1"), "at '/watch/enrich/cache'"),
        (enrich("Pod", rate=0), "at '/watch/enrich/rate'"),
        ({"watch": {"countEvents": {"maxSeries": -1}}}, "at '/watch/countEvents/maxSeries'"),
        (
            {"prometheusRule": {"enabled": True, "clusterAlerts": True}},
            "watch.countEvents.enabled: must be true with prometheusRule.clusterAlerts",
        ),
    ],
)
def test_wrong_values_are_refused(values, message):
    assert message in refusal(values)


def test_alerts_for_the_cluster_ask_for_what_is_counted():
    groups = one(render("enrich"), "PrometheusRule")["spec"]["groups"]
    alerts = {alert["alert"]: alert["expr"] for alert in groups[1]["rules"]}
    assert set(alerts) == {
        "KubernetesFailedScheduling",
        "KubernetesPodsEvicted",
        "KubernetesNodeNotReady",
        "KubernetesSystemOOM",
    }
    for expression in alerts.values():
        assert 'eventrouter_kubernetes_events_total{namespace="logging",job="' in expression


def test_without_them_there_is_one_group():
    groups = one(render("pod-monitor"), "PrometheusRule")["spec"]["groups"]
    assert len(groups) == 1
