"""Which kinds may be looked up: known names, others written out, and never what holds secrets."""

from __future__ import annotations

import pytest

from eventrouter.config import ObjectKind
from eventrouter.enrich.kinds import KNOWN, Kinds, parse_kinds

ROLLOUT = ObjectKind("Rollout", "v1alpha1", "argoproj.io", "rollouts")


def test_known_kinds_are_named_by_their_names() -> None:
    assert parse_kinds("Pod, Node\nJob") == (KNOWN["Pod"], KNOWN["Node"], KNOWN["Job"])


def test_any_other_kind_is_written_with_its_resource() -> None:
    text = "Rollout.v1alpha1.argoproj.io/rollouts,Endpoints.v1/endpoints"

    assert parse_kinds(text) == (ROLLOUT, ObjectKind("Endpoints", "v1", "", "endpoints"))


def test_a_known_kind_may_be_of_another_version() -> None:
    (ingress,) = parse_kinds("Ingress.v1beta1.networking.k8s.io/ingresses")

    assert (ingress.version, ingress.is_namespaced) == ("v1beta1", True)


def test_a_kind_that_is_named_twice_is_one() -> None:
    assert parse_kinds("Pod,Pod.v1/pods") == (KNOWN["Pod"],)


@pytest.mark.parametrize(
    "text",
    [
        "Secret",
        "secret",
        "Secrets",
        "SECRETS",
        "secrets",
        "ConfigMap",
        "configmaps",
        "Pod,Secret",
        "Secret.v1/secrets",
        "Secret.v1./secrets",
        "Pod.v1/secrets",
        "Pod.v1/SECRETS",
        "Foo.v1.example.com/secrets",
        "Foo.v1/configmaps",
        "Foo.v1/secrets/",
        "Foo.v1//secrets",
        "Secret.v1/pods",
        "ConfigMap.v1.example.com/things",
    ],
)
def test_secrets_and_config_maps_are_refused_however_they_are_written(text: str) -> None:
    with pytest.raises(ValueError, match="no Secrets and no ConfigMaps"):
        parse_kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "pod",
        "Pods",
        "Banana",
        "*",
        "Foo.v1",
        "Foo/foos",
        "Foo.v1/pods/../secrets",
        "Foo.v1/%73ecrets",
        "Foo.v1/pods/log",
        "Foo.v1/*",
        "Foo.v1/..",
        "Foo.../secretz",
        "Foo.v1/foos?x=1",
        "Foo.v1/ secrets",
    ],
)
def test_what_is_no_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"kind|Secrets"):
        parse_kinds(text)


def test_two_resources_for_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="two resources"):
        parse_kinds("Foo.v1.a.io/foos,Foo.v1.a.io/fooz")


def test_a_kind_is_found_by_its_name_and_group_in_any_version() -> None:
    kinds = Kinds(parse_kinds("Pod,Deployment,HorizontalPodAutoscaler"))

    assert kinds.find("Pod", "v1") == KNOWN["Pod"]
    assert kinds.find("HorizontalPodAutoscaler", "autoscaling/v1") is not None
    assert kinds.find("Deployment", "extensions/v1beta1") is None
    assert kinds.find("Deployment", "") == KNOWN["Deployment"]
    assert kinds.find("Node", "v1") is None
    assert kinds.find("Pod", "example.com/v1") is None
