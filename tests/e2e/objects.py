"""Objects of each kind that may be looked up, as a client writes them: no controller runs here."""

from __future__ import annotations

from itertools import count
from typing import Any

from eventrouter.config import ObjectKind
from eventrouter.enrich.kinds import KNOWN, parse_kinds
from tests.programs import KubeClient
from tests.support.events import state_id

Json = dict[str, Any]

NAMESPACE = "shop"
WIDGET = parse_kinds("Widget.v1.example.com/widgets")[0]
_LABELS = {"app": "api"}
_POD = {
    "containers": [{"name": "main", "image": "example.com/api"}],
    "automountServiceAccountToken": False,
}
_TEMPLATE = {"metadata": {"labels": _LABELS}, "spec": _POD}
_JOB = {"template": {**_TEMPLATE, "spec": {**_POD, "restartPolicy": "Never"}}}
_CONTROLLER = {"selector": {"matchLabels": _LABELS}, "template": _TEMPLATE}
_SCALED = {"kind": "Deployment", "name": "api", "apiVersion": "apps/v1"}
SPECS: dict[str, Json] = {
    "Pod": _POD,
    "Deployment": _CONTROLLER,
    "ReplicaSet": _CONTROLLER,
    "StatefulSet": {**_CONTROLLER, "serviceName": "api"},
    "DaemonSet": _CONTROLLER,
    "Job": _JOB,
    "CronJob": {"schedule": "0 0 * * *", "jobTemplate": {"spec": _JOB}},
    "Node": {},
    "Namespace": {},
    "PersistentVolumeClaim": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
    "Service": {"ports": [{"port": 80}]},
    "Ingress": {"defaultBackend": {"service": {"name": "api", "port": {"number": 80}}}},
    "HorizontalPodAutoscaler": {"scaleTargetRef": _SCALED, "maxReplicas": 2},
    "Widget": {},
}
ALL = {**KNOWN, WIDGET.kind: WIDGET}
_WIDGETS = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


def folder(kind: ObjectKind) -> str:
    """Where objects of a kind are."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = "" if kind.is_namespaced is False else f"/namespaces/{NAMESPACE}"
    return f"{root}{scope}/{kind.plural}"


def reference(kind: ObjectKind, metadata: Json) -> Json:
    """What an event, or another object, says of an object."""
    version = f"{kind.group}/{kind.version}" if kind.group else kind.version
    found = {"kind": kind.kind, "apiVersion": version, "name": metadata["name"]}
    return found | {"uid": metadata["uid"]}


def right(kind: ObjectKind) -> Json:
    """The rule that a look-up needs."""
    return {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["get"]}


class Objects:
    """Makes objects in one cluster, and events about them."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self._numbers = count(1)

    def define_widgets(self) -> None:
        """A kind that nothing knows."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        self.client.call("POST", path, _WIDGETS)

    def create(self, kind: str, name: str, *, owner: Json | None = None, **labels: str) -> Json:
        """An object with these labels; a reference to it."""
        resource = ALL[kind]
        metadata: Json = {"name": name, "labels": labels}
        if owner is not None:
            metadata["ownerReferences"] = [{**owner, "controller": True}]
        version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        body = {"kind": kind, "apiVersion": version, "metadata": metadata, "spec": SPECS[kind]}
        answer = self.client.call("POST", folder(resource), body)
        return reference(resource, answer["metadata"])

    def delete(self, kind: str, name: str) -> None:
        """Delete it at once."""
        path = f"{folder(ALL[kind])}/{name}?gracePeriodSeconds=0"
        self.client.call("DELETE", path)

    def event_about(self, involved: Json, **fields: Any) -> str:
        """A new event about an object; the id of its state."""
        is_namespaced = ALL[involved["kind"]].is_namespaced is not False
        namespace = NAMESPACE if is_namespaced else "default"
        event = {
            "metadata": {"name": f"event-{next(self._numbers)}", "namespace": namespace},
            "involvedObject": involved | ({"namespace": NAMESPACE} if is_namespaced else {}),
            "reason": "Tried",
            "message": "a trial",
            "type": "Normal",
            "count": 1,
            **fields,
        }
        return state_id(self.client.create_event(event))
