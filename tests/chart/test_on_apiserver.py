"""The chart on a real kube-apiserver: what it takes, what helm leaves behind, what the account may.

It has no controllers and no kubelet, so no pod ever runs here.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from eventrouter.check import check
from eventrouter.config import Config
from eventrouter.enrich.kinds import KNOWN, parse_kinds
from tests.chart.chart import (
    CASES,
    CHART,
    FILES,
    ROOT,
    helm,
    of_kind,
    render,
    workload_of,
)
from tests.programs import ApiServer, KubeClient
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

CRDS = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
PATHS = {
    "ConfigMap": "/api/v1/{}configmaps",
    "Secret": "/api/v1/{}secrets",
    "Pod": "/api/v1/{}pods",
    "Service": "/api/v1/{}services",
    "ServiceAccount": "/api/v1/{}serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/{}persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/{}deployments",
    "StatefulSet": "/apis/apps/v1/{}statefulsets",
    "Lease": "/apis/coordination.k8s.io/v1/{}leases",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/{}networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/{}poddisruptionbudgets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/{}roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/{}rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/{}clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/{}clusterrolebindings",
    "PodMonitor": "/apis/monitoring.coreos.com/v1/{}podmonitors",
    "ServiceMonitor": "/apis/monitoring.coreos.com/v1/{}servicemonitors",
    "PrometheusRule": "/apis/monitoring.coreos.com/v1/{}prometheusrules",
}
# Everybody may ask what they themselves may, and read what the API offers.
EVERYBODYS_GROUPS = {"authorization.k8s.io", "authentication.k8s.io"}


@pytest.fixture(scope="module")
def operator(cluster):
    """The Prometheus Operator's kinds, from its Go module."""
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", CRDS],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"go cannot download {CRDS}: monitors and rules are untried")
    crds = Path(json.loads(done.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for name in ("podmonitors", "servicemonitors", "prometheusrules"):
        (file,) = crds.glob(f"*_{name}.yaml")
        cluster.client.call("POST", path, yaml.safe_load(file.read_text()))
    for name in ("podmonitors", "servicemonitors", "prometheusrules"):
        _wait_served(cluster.client, f"/apis/monitoring.coreos.com/v1/{name}")


def _wait_served(client: KubeClient, path: str) -> None:
    eventually(lambda: client.request("GET", path).status == 200, timeout=30, what=path)


def path_of(item, *, namespace=None):
    where = namespace or item["metadata"].get("namespace")
    if item["kind"].startswith("Cluster"):
        return PATHS[item["kind"]].format("")
    return PATHS[item["kind"]].format(f"namespaces/{where or 'logging'}/")


def as_a_pod(workload):
    """One of its pods: Pod Security refuses pods, and only warns of what makes them."""
    template = workload["spec"]["template"]
    # A StatefulSet's controller adds a volume for each claim.
    claims = [
        {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "of-the-pod"}}
        for claim in workload["spec"].get("volumeClaimTemplates", [])
    ]
    name = {"name": "as-a-pod", "namespace": workload["metadata"]["namespace"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"] | name,
        "spec": template["spec"] | {"volumes": template["spec"]["volumes"] + claims},
    }


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_accepted_in_a_restricted_namespace(case, cluster, operator):
    objects = render(case)
    client = cluster.client
    # A pod's account must be there, dry run or not.
    accounts = of_kind(objects, "ServiceAccount") or [
        {"kind": "ServiceAccount", "metadata": {"name": "events", "namespace": "logging"}}
    ]
    for account in accounts:
        client.call("POST", path_of(account), account, accept=(201, 409))
    for item in [*objects, as_a_pod(workload_of(objects))]:
        if item["kind"] == "ServiceAccount":
            continue
        client.call("POST", f"{path_of(item)}?dryRun=All&fieldValidation=Strict", item)


def test_the_static_manifest_is_accepted(cluster):
    client = cluster.client
    for item in yaml.safe_load_all((ROOT / "yaml" / "eventrouter.yaml").read_text()):
        if item:
            client.call("POST", f"{path_of(item)}?dryRun=All&fieldValidation=Strict", item)


def everything(client):
    found = set()
    for kind, path in PATHS.items():
        answer = client.request("GET", path.format(""))
        if answer.status == 200:
            for item in json.loads(answer.data)["items"]:
                metadata = item["metadata"]
                # A claim waits for a controller to take its finalizer off.
                if "deletionTimestamp" not in metadata:
                    found.add((kind, metadata.get("namespace"), metadata["name"]))
    return found


class Release:
    """One release by the real helm."""

    def __init__(self, cluster: ApiServer, name: str, namespace: str = "logging") -> None:
        self._where = ("--kubeconfig", str(cluster.kubeconfig), "--namespace", namespace)
        self.name = name

    def run(self, command: str, *arguments: str) -> str:
        return helm(command, self.name, *arguments, *self._where)

    def install(self, case: str, *settings: str) -> None:
        given = [word for setting in settings for word in ("--set", setting)]
        self.run("install", str(CHART), "--values", str(FILES[case]), *given)

    def upgrade(self, case: str) -> None:
        self.run("upgrade", str(CHART), "--values", str(FILES[case]))


@pytest.fixture
def release(cluster, request):
    made = Release(cluster, "try")
    yield made
    if made.name in helm("list", "--short", *made._where):
        made.run("uninstall")


def test_install_upgrade_rollback_and_uninstall_leave_nothing(cluster, release):
    before = everything(cluster.client)
    release.install("default")
    lease_path = "/apis/coordination.k8s.io/v1/namespaces/logging/leases/try-eventrouter"
    lease = cluster.client.call("GET", lease_path)
    # As the watcher writes it.
    lease["spec"] = {"holderIdentity": "pod-1", "leaseDurationSeconds": 15, "leaseTransitions": 3}
    lease["metadata"].setdefault("annotations", {})["eventrouter/checkpoint"] = '{"version":1}'
    lease["metadata"].pop("managedFields")
    cluster.client.call("PUT", lease_path, lease)

    for step in (
        lambda: release.upgrade("several"),
        lambda: release.upgrade("namespaces"),
        lambda: release.upgrade("persistence"),
        lambda: release.run("rollback", "1"),
    ):
        step()
        after = cluster.client.call("GET", lease_path)
        assert after["spec"] == lease["spec"]
        assert after["metadata"]["annotations"]["eventrouter/checkpoint"] == '{"version":1}'
    release.run("uninstall")
    assert everything(cluster.client) == before


def test_two_releases_stand_side_by_side(cluster):
    before = everything(cluster.client)
    releases = [
        Release(cluster, "a"),
        Release(cluster, "b"),
        Release(cluster, "a", "observability"),
    ]
    for made in releases:
        made.install("namespaces")
    for made in releases:
        made.run("uninstall")
    assert everything(cluster.client) == before


def client_of(cluster, account, namespace="logging"):
    """The API as the pod's account."""
    token = cluster.client.token_of(account, namespace=namespace)
    return KubeClient(cluster.url, ca_file=cluster.ca_file, token=token)


def rights_of(client, namespace):
    """All that an account may do in a namespace, but for what everybody may."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    body = {"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1"}
    answer = client.call("POST", path, body | {"spec": {"namespace": namespace}})
    assert not answer["status"]["incomplete"]
    return {
        (verb, group, resource, name)
        for rule in answer["status"]["resourceRules"]
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        for name in rule.get("resourceNames", [""])
        if group not in EVERYBODYS_GROUPS
    }


EVENTS = {("list", "", "events", ""), ("watch", "", "events", "")}
LEASE = {
    ("get", "coordination.k8s.io", "leases", "try-eventrouter"),
    ("update", "coordination.k8s.io", "leases", "try-eventrouter"),
    ("create", "coordination.k8s.io", "leases", ""),
}


def test_the_account_may_do_what_it_needs_and_no_more(cluster, release):
    release.install("default")
    client = client_of(cluster, "try-eventrouter")
    assert rights_of(client, "logging") == EVENTS | LEASE
    assert rights_of(client, "team-a") == EVENTS
    assert client.request("GET", "/api/v1/events").status == 200
    assert client.request("GET", "/api/v1/pods").status == 403
    assert client.request("GET", "/api/v1/namespaces/logging/secrets").status == 403
    leases = "/apis/coordination.k8s.io/v1/namespaces/logging/leases"
    assert client.request("GET", f"{leases}/try-eventrouter").status == 200
    assert client.request("GET", leases).status == 403
    assert client.request("DELETE", f"{leases}/try-eventrouter").status == 403


def test_in_some_namespaces_only_the_account_sees_those(cluster, release):
    release.install("namespaces")
    client = client_of(cluster, "try-eventrouter")
    assert rights_of(client, "logging") == LEASE
    assert rights_of(client, "team-a") == EVENTS
    assert rights_of(client, "observability") == set()
    assert client.request("GET", "/api/v1/events").status == 403
    assert client.request("GET", "/api/v1/namespaces/team-b/events").status == 200


def looked_up(*kinds):
    return {("get", KNOWN[kind].group, KNOWN[kind].plural, "") for kind in kinds}


def test_the_account_may_look_up_exactly_what_is_configured(cluster, release):
    # Without what only a cluster with the Prometheus Operator takes.
    release.install(
        "enrich",
        "podMonitor.enabled=false",
        "prometheusRule.enabled=false",
        "prometheusRule.clusterAlerts=false",
    )
    client = client_of(cluster, "try-eventrouter")
    kinds = looked_up("Pod", "ReplicaSet", "Deployment", "Job", "CronJob", "Node", "Namespace")
    rollouts = {("get", "argoproj.io", "rollouts", "")}
    assert rights_of(client, "team-a") == EVENTS | kinds | rollouts
    assert client.request("GET", "/api/v1/namespaces/team-a").status == 200
    assert client.request("GET", "/api/v1/namespaces/team-a/pods/web").status == 404
    assert client.request("GET", "/api/v1/namespaces/team-a/pods").status == 403
    assert client.request("GET", "/api/v1/namespaces/team-a/secrets/web").status == 403
    assert client.request("GET", "/api/v1/namespaces/team-a/configmaps/web").status == 403


def test_in_some_namespaces_only_the_account_looks_up_what_is_there(cluster, release):
    """A Namespace by the Role in it, a Node by a ClusterRole."""
    release.install("enrich-namespaces")
    client = client_of(cluster, "try-eventrouter")
    nodes = looked_up("Node")
    assert rights_of(client, "team-a") == EVENTS | nodes | looked_up("Pod", "Namespace")
    assert rights_of(client, "observability") == nodes
    assert client.request("GET", "/api/v1/namespaces/team-a").status == 200
    assert client.request("GET", "/api/v1/namespaces/observability").status == 403
    assert client.request("GET", "/api/v1/nodes/worker-1").status == 404


def test_the_check_tells_for_each_kind_whether_the_right_is_there(cluster, release, tmp_path):
    release.install("enrich-namespaces")
    token = cluster.client.token_of("try-eventrouter", namespace="logging")
    kubeconfig = cluster._write_kubeconfig("try", token)
    settings = Config(
        kubeconfig=str(kubeconfig),
        namespaces=("team-a", "team-b"),
        enrich=parse_kinds("Pod,Node,Namespace,Deployment"),
    )
    found = {found.link: found for found in check(settings) if found.link.startswith("enrich")}
    assert [found[f"enrich {kind}"].is_good for kind in ("Pod", "Node", "Namespace")] == [True] * 3
    missing = found["enrich Deployment"]
    assert not missing.is_good
    assert "get deployments.apps in team-a, in team-b: grant `get`" in missing.what
