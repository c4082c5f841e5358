"""What a careful operator checks before letting anything into a cluster, on every render."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.chart.chart import (
    CASES,
    containers,
    of_kind,
    one,
    pod_of,
    pods,
    render,
    sidecar_of,
    watcher_of,
    workload_of,
)
from tests.chart.restricted import violations

every_case = pytest.mark.parametrize("case", CASES)
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
SECRET_WORDS = re.compile(
    r"(passw|secret|token|api_key|shared_key|sasl\.password|webhook)", re.IGNORECASE
)
LONG = "a-release-whose-name-is-as-long-as-helm-will-let-it-b"  # Helm takes 53 characters


@every_case
def test_pods_meet_the_standard_restricted(case):
    for name, pod in pods(render(case)):
        assert list(violations(pod)) == [], name


@every_case
def test_containers_have_a_read_only_root_and_no_capability_at_all(case):
    for name, container in containers(render(case)):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"podSecurityContext": {"runAsNonRoot": None}}, "watcher: runAsNonRoot is not true"),
        ({"podSecurityContext": {"runAsUser": 0}}, "pod: runAsUser is 0"),
        (
            {"podSecurityContext": {"seccompProfile": {"type": "Unconfined"}}},
            "pod: seccompProfile is Unconfined",
        ),
        ({"podSecurityContext": {"seccompProfile": None}}, "watcher: there is no seccompProfile"),
        (
            {"podSecurityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "sysctl kernel.msgmax is set",
        ),
        (
            {"watcher": {"securityContext": {"capabilities": {"drop": []}}}},
            "watcher: does not drop ALL",
        ),
        (
            {"fluentBit": {"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}},
            "fluent-bit: adds SYS_PTRACE",
        ),
        (
            {"fluentBit": {"securityContext": {"allowPrivilegeEscalation": True}}},
            "fluent-bit: allowPrivilegeEscalation is not false",
        ),
        ({"watcher": {"securityContext": {"privileged": True}}}, "watcher: privileged"),
        (
            {"extraVolumes": [{"name": "host", "hostPath": {"path": "/"}}]},
            "volume host is of hostPath",
        ),
        (
            {"watcher": {"livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}},
            "watcher: a probe or hook asks 10.0.0.1",
        ),
        (
            {"extraContainers": [{"name": "own", "image": "own:1"}]},
            "own: allowPrivilegeEscalation is not false",
        ),
    ],
)
def test_values_that_the_standard_does_not_allow_are_found(values, said):
    assert said in violations(pod_of(render(values=values)))


@every_case
def test_containers_say_what_they_need_and_pull_a_fixed_image(case):
    for name, container in containers(render(case)):
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), name
        assert "memory" in resources["limits"], name
        # One that is out of processor time late at night helps nobody.
        assert "cpu" not in resources["limits"], name
        assert container["imagePullPolicy"], name
        assert re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]), name


@every_case
def test_both_containers_are_probed(case):
    objects = render(case)
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(sidecar_of(objects))
    assert {"livenessProbe", "readinessProbe"} <= set(watcher_of(objects))
    # What others do must not restart us.
    assert sidecar_of(objects)["livenessProbe"]["httpGet"]["path"] == "/"
    assert watcher_of(objects)["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_the_pod_of_helm_test_never_stays():
    # Uninstalling does not delete a hook's objects. One that failed has said why by then.
    annotations = one(render(), "Pod")["metadata"]["annotations"]
    assert set(annotations["helm.sh/hook-delete-policy"].split(",")) == {
        "before-hook-creation",
        "hook-succeeded",
        "hook-failed",
    }
    assert annotations["helm.sh/hook-output-log-policy"] == "hook-failed"


@every_case
def test_only_the_watcher_has_the_token(case):
    objects = render(case)
    for name, pod in pods(objects):
        assert pod["automountServiceAccountToken"] is False, name
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    having = [
        name
        for name, container in containers(objects)
        for mount in container.get("volumeMounts", [])
        if mount["name"] == "token" or mount["mountPath"].startswith(TOKEN_PATH)
    ]
    assert having == [f"{workload_of(objects)['kind']}, watcher"]


@every_case
def test_roles_allow_just_what_is_needed(case):
    objects = render(case)
    if case == "given-rights":
        assert not [item for item in objects if "Role" in item["kind"]]
        return
    events = {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]}
    lease = workload_of(objects)["metadata"]["name"]
    if case == "overrides":
        roles_of_release = of_kind(objects, "Role")[-1]["rules"]
        assert roles_of_release.pop()["resources"] == ["secrets"]
    leases = [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [lease],
            "verbs": ["get", "update"],
        },
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]
    roles = [role["rules"] for role in objects if role["kind"] in ("Role", "ClusterRole")]
    if case.startswith("enrich"):  # the rights of look-ups are in test_enrich.py
        roles = [[rule for rule in role if rule["verbs"] != ["get"]] for role in roles]
        roles = [role for role in roles if role]
    watched = 2 if case.endswith("namespaces") else 1
    assert roles == [[events]] * watched + [leases]
    assert len(of_kind(objects, "ClusterRole")) == (0 if case == "namespaces" else 1)


@every_case
def test_bindings_bind_our_account_to_our_roles(case):
    objects = render(case)
    account = pod_of(objects)["serviceAccountName"]
    namespace = workload_of(objects)["metadata"]["namespace"]
    roles = {
        (role["kind"], role["metadata"]["name"], role["metadata"].get("namespace"))
        for role in objects
        if role["kind"] in ("Role", "ClusterRole")
    }
    bound = set()
    for binding in objects:
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            assert binding["subjects"] == [
                {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            ]
            reference = binding["roleRef"]
            where = binding["metadata"].get("namespace")
            bound.add((reference["kind"], reference["name"], where))
    assert bound == roles


@every_case
def test_nothing_secret_is_in_a_config_map_or_an_argument(case):
    objects = render(case)
    for config in of_kind(objects, "ConfigMap"):
        for text in config["data"].values():
            _check_no_secret(yaml.safe_load(text))
    for name, container in containers(objects):
        assert not SECRET_WORDS.search(" ".join(container.get("args", []))), name
        for variable in container.get("env", []):
            if SECRET_WORDS.search(variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], (name, variable["name"])


def _check_no_secret(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and SECRET_WORDS.search(key):
                assert re.fullmatch(r"\$\{\w+(:-)?\}", value), f"{key}: {value}"
            _check_no_secret(value)
    elif isinstance(node, list):
        for value in node:
            _check_no_secret(value)


@every_case
def test_everything_is_labelled_and_in_its_namespace(case):
    wanted = {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "helm.sh/chart",
    }
    namespace = "observability" if case == "overrides" else "logging"
    for item in render(case):
        metadata = item["metadata"]
        if "-extra" in metadata["name"] or metadata["name"].endswith("-login"):
            continue  # of extraObjects: as they were given
        assert wanted <= set(metadata["labels"]), item["kind"]
        if not item["kind"].startswith("Cluster") and not case.endswith("namespaces"):
            assert metadata["namespace"] == namespace, item["kind"]


@every_case
def test_services_policies_and_budgets_choose_our_pods_and_not_the_tests(case):
    objects = render(case)
    deployment = workload_of(objects)["spec"]
    chosen = deployment["selector"]["matchLabels"]
    ours = deployment["template"]["metadata"]["labels"]
    test = one(objects, "Pod")["metadata"]["labels"]
    selectors = [chosen, one(objects, "Service")["spec"]["selector"]]
    selectors += [item["spec"]["podSelector"]["matchLabels"]
                  for item in of_kind(objects, "NetworkPolicy")]  # fmt: skip
    for kind in ("PodDisruptionBudget", "PodMonitor", "ServiceMonitor"):
        selectors += [item["spec"]["selector"]["matchLabels"] for item in of_kind(objects, kind)]
    for selector in selectors:
        assert selector == chosen
    assert chosen.items() <= ours.items()
    assert not chosen.items() <= test.items()


def test_selector_never_changes():
    selectors = {
        tuple(sorted(workload_of(render(case))["spec"]["selector"]["matchLabels"].items()))
        for case in CASES
        if case != "overrides"  # nameOverride is in it
    }
    assert selectors == {
        (("app.kubernetes.io/instance", "events"), ("app.kubernetes.io/name", "eventrouter"))
    }


@pytest.mark.parametrize("case", ["several", "persistence", "namespaces", "pod-monitor"])
def test_names_fit_however_long_the_release_is_called(case):
    objects = render(case, release=LONG)
    for item in objects:
        name = item["metadata"]["name"]
        is_outside = item["kind"].startswith("Cluster") or ":" in name
        assert len(name) <= 63 or is_outside or item["kind"] == "Pod", name
        assert not name.endswith("-"), name
        for value in item["metadata"]["labels"].values():
            assert len(value) <= 63


def identities(objects):
    return {
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for item in objects
    }


@pytest.mark.parametrize("case", ["several", "namespaces", "high-availability", "pod-monitor"])
def test_two_releases_do_not_meet(case):
    first = identities(render(case, release="a"))
    assert not first & identities(render(case, release="b"))
    assert not first & identities(render(case, release="a", namespace="elsewhere"))


def test_two_releases_choose_their_own_pods():
    first, second = (
        one(render(release=name), "Service")["spec"]["selector"] for name in ("a", "b")
    )
    assert first != second
