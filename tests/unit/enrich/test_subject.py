"""The object that an event is about: a path that leads nowhere else, and the node."""

from __future__ import annotations

from typing import Any

import pytest

from eventrouter.enrich.kinds import Kinds, parse_kinds
from eventrouter.enrich.subject import Subject, Target, subject_of, target
from tests.support.events import make_event, read

KINDS = Kinds(parse_kinds("Pod,Deployment,Node,Namespace,Rollout.v1alpha1.argoproj.io/rollouts"))
UID = "c0ffee00-0000-4000-8000-000000000001"


def subject(involved: dict[str, Any], **fields: Any) -> Subject | None:
    return subject_of(read(make_event(involvedObject=involved, **fields)), KINDS)


def path(**involved: Any) -> str | None:
    found = subject({"uid": UID, "name": "x"} | involved)
    assert found
    return found.target and found.target.path


def test_each_kind_has_its_path() -> None:
    assert path(kind="Pod", namespace="shop") == "/api/v1/namespaces/shop/pods/x"
    assert path(kind="Node") == "/api/v1/nodes/x"
    assert path(kind="Node", namespace="shop") == "/api/v1/nodes/x"
    assert path(kind="Namespace") == "/api/v1/namespaces/x"
    assert path(kind="Deployment", apiVersion="apps/v1", namespace="shop") == (
        "/apis/apps/v1/namespaces/shop/deployments/x"
    )
    assert path(kind="Rollout", apiVersion="argoproj.io/v1alpha1", namespace="shop") == (
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/x"
    )


def test_an_object_of_another_kind_is_no_subject() -> None:
    assert subject({"kind": "Service", "name": "x", "uid": UID, "namespace": "shop"}) is None
    assert subject({}) is None


@pytest.mark.parametrize(
    "involved",
    [
        {"name": "../secrets/x"},
        {"name": "..%2fsecrets"},
        {"name": ".."},
        {"name": "x?watch=true"},
        {"name": "x#"},
        {"name": ""},
        {"name": "x" * 400},
        {"namespace": "shop/secrets/x?"},
        {"namespace": ".."},
        {"namespace": ""},
        {"uid": ""},
        {"uid": "a b"},
        {"uid": "x" * 400},
    ],
)
def test_a_text_that_could_lead_elsewhere_is_not_looked_up(involved: dict[str, str]) -> None:
    good = {"kind": "Pod", "namespace": "shop", "name": "x", "uid": UID}

    assert subject(good | involved) == Subject(None, "worker-1")


def test_an_object_is_met_by_its_uid_alone() -> None:
    pod = target(KINDS.find("Pod", ""), namespace="shop", name="x", uid=UID)  # type: ignore[arg-type]
    assert isinstance(pod, Target)

    assert pod.is_met_by(UID)
    assert not pod.is_met_by("another")
    assert not pod._replace(uid="x").is_met_by("another")


def test_the_kubelet_means_its_node_by_the_name() -> None:
    node = target(KINDS.find("Node", ""), namespace="", name="worker-1", uid="worker-1")  # type: ignore[arg-type]
    assert isinstance(node, Target)

    assert node.is_met_by(UID)
    assert not node._replace(uid="another").is_met_by(UID)


def test_two_objects_never_share_a_place_in_the_cache() -> None:
    """An event may claim the uid of an object that is not its own."""
    one, two = (
        target(KINDS.find("Pod", ""), namespace=namespace, name="x", uid=UID)  # type: ignore[arg-type]
        for namespace in ("shop", "bank")
    )

    assert one
    assert two
    assert one.key != two.key


@pytest.mark.parametrize(
    ("involved", "fields", "node"),
    [
        ({"kind": "Node", "name": "worker-2"}, {}, "worker-2"),
        ({"kind": "Pod"}, {}, "worker-1"),
        ({"kind": "Pod"}, {"source": {"component": "taint-controller", "host": "m"},
                           "reportingComponent": ""}, ""),
        ({"kind": "Pod"}, {"source": {}}, "worker-1"),
        ({"kind": "Pod"}, {"source": {"component": "default-scheduler"}, "reportingComponent": "",
                           "reason": "Scheduled",
                           "message": "Successfully assigned shop/x to worker-3"}, "worker-3"),
        ({"kind": "Pod"}, {"source": {"component": "default-scheduler"}, "reportingComponent": "",
                           "reason": "FailedScheduling", "message": "0/3 nodes"}, ""),
        ({"kind": "Deployment"}, {}, ""),
    ],
)  # fmt: skip
def test_the_node_is_what_the_writer_says(
    involved: dict[str, str], fields: dict[str, Any], node: str
) -> None:
    found = subject({"name": "x", "namespace": "shop", "uid": UID} | involved, **fields)

    assert found
    assert found.node == node
