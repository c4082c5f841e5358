"""Where the buffer is: an emptyDir of each pod, a claim of each replica, or a given claim."""

from __future__ import annotations

import pytest

from tests.chart.chart import (
    notes,
    of_kind,
    one,
    pod_of,
    render,
    sidecar_of,
    watcher_of,
    workload_of,
)

PERSISTENCE = {"persistence": {"enabled": True}}
LONG = "a-release-whose-name-is-as-long-as-helm-will-let-it-b"


def buffers_of(objects):
    """The pods' volume for the buffer, or None."""
    return next((item for item in pod_of(objects)["volumes"] if item["name"] == "buffers"), None)


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_replica_has_a_claim_of_its_own(replicas):
    objects = render("persistence", {"replicaCount": replicas})
    spec = workload_of(objects)["spec"]
    assert workload_of(objects)["kind"] == "StatefulSet"
    assert spec["replicas"] == replicas
    assert buffers_of(objects) is None
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "buffers"
    assert claim["metadata"]["annotations"] == {"example.com/backup": "false"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "5Gi"}},
    }
    for container in (sidecar_of(objects), watcher_of(objects)):
        assert {"name": "buffers", "mountPath": "/buffers"} in container["volumeMounts"]


def test_a_replica_that_stands_by_waits_for_no_other():
    spec = workload_of(render("persistence-replicas"))["spec"]
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["serviceName"] == one(render("persistence-replicas"), "Service")["metadata"]["name"]


@pytest.mark.parametrize(("retain", "policy"), [(False, "Delete"), (True, "Retain")])
def test_claims_go_with_the_release_unless_they_are_to_be_kept(retain, policy):
    values = {"persistence": {"enabled": True, "retain": retain}}
    spec = workload_of(render(values=values))["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": policy,
        # What a replica's claim holds may not be delivered.
        "whenScaled": "Retain",
    }


def test_a_given_claim_is_one_pods():
    objects = render("persistence-existing")
    assert workload_of(objects)["kind"] == "Deployment"
    assert buffers_of(objects)["persistentVolumeClaim"] == {"claimName": "events"}
    assert workload_of(objects)["spec"]["strategy"] == {"type": "Recreate"}
    assert not of_kind(objects, "PersistentVolumeClaim")


def test_an_empty_dir_is_requested_so_that_others_are_evicted_first():
    objects = render(values={"buffer": {"size": "3Gi"}})
    assert buffers_of(objects) == {"name": "buffers", "emptyDir": {"sizeLimit": "3Gi"}}
    resources = sidecar_of(objects)["resources"]
    assert resources["requests"]["ephemeral-storage"] == "3Gi"
    assert resources["requests"]["memory"]
    given = {"resources": {"requests": {"ephemeral-storage": "1Mi"}}}
    resources = sidecar_of(render(values={"fluentBit": given}))["resources"]
    assert resources["requests"]["ephemeral-storage"] == "1Mi"
    for case in ("persistence", "persistence-existing"):
        assert "ephemeral-storage" not in sidecar_of(render(case))["resources"]["requests"]


def test_pods_of_a_release_with_the_longest_name_can_have_their_labels():
    # The StatefulSet's name with a dash and ten characters is a label, which has 63 at the most.
    name = workload_of(render(values=PERSISTENCE, release=LONG))["metadata"]["name"]
    assert len(name) <= 52
    assert not name.endswith("-")


def test_the_notes_say_what_may_become_of_the_buffer():
    elasticsearch = {"outputs": {"elasticsearch": {"host": "a"}}}
    text = notes(values=elasticsearch)
    assert "The buffer is an emptyDir of 1Gi. It goes when the pod is deleted" in text
    text = notes(values=elasticsearch | PERSISTENCE)
    assert "emptyDir" not in text
    assert "statefulset/events-eventrouter" in text
    assert "deployment/" not in text
    assert "Each replica has a claim" not in text
    assert "Each replica has a claim" in notes(values=PERSISTENCE | {"replicaCount": 2})
