"""The workloads and nodes of the small cluster, and the events that Kubernetes writes about them.

Workloads, images and nodes are invented. The events are those of Kubernetes 1.36, without times and
counts: whoever writes an event to the store adds these.
"""

from __future__ import annotations

import random
import uuid
from typing import Any, NamedTuple

Event = dict[str, Any]

NODES = ("worker-1", "worker-2", "worker-3", "worker-4")
_SCHEDULER = "default-scheduler"
_WARNINGS = frozenset(("BackOff", "FailedMount", "FailedScheduling", "NodeNotReady", "Unhealthy"))
# Generated names have no vowels, so no words, and no characters that look alike (apimachinery,
# pkg/util/rand).
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_API_VERSIONS = {
    "CronJob": "batch/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Job": "batch/v1",
    "Node": "",
    "ReplicaSet": "apps/v1",
}


class App(NamedTuple):
    namespace: str
    name: str


class Pod(NamedTuple):
    app: App
    name: str
    node: str
    image: str

    @property
    def uid(self) -> str:
        return _uid("Pod", self.app.namespace, self.name)


APPS = (
    App("shop", "checkout"),
    App("shop", "catalog"),
    App("shop", "cart"),
    App("billing", "invoice-api"),
    App("billing", "ledger"),
    App("media", "thumbnailer"),
    App("search", "indexer"),
    App("platform", "edge-proxy"),
)
JOBS = (App("reports", "daily-summary"), App("reports", "stock-export"), App("shop", "cleanup"))


class Cast:
    """Makes up names and builds events. Everything depends on `chance` alone."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def app(self) -> App:
        return self.chance.choice(APPS)

    def letters(self, length: int) -> str:
        return "".join(self.chance.choices(_LETTERS, k=length))

    def replica_set(self, app: App) -> str:
        return f"{app.name}-{self.letters(10)}"

    def image(self, app: App) -> str:
        version = ".".join(str(self.chance.randint(0, 9)) for _ in range(3))
        return f"registry.example.com/{app.namespace}/{app.name}:{version}"

    def pod(
        self, app: App, *, owner: str, image: str | None = None, node: str | None = None
    ) -> Pod:
        return Pod(
            app,
            f"{owner}-{self.letters(5)}",
            node or self.chance.choice(NODES),
            image or self.image(app),
        )

    def running_pod(self, *, node: str | None = None) -> Pod:
        app = self.app()
        return self.pod(app, owner=self.replica_set(app), node=node)

    def by_controller(
        self, app: App, kind: str, name: str, reason: str, message: str, *, loop: str
    ) -> Event:
        """An event that a loop of kube-controller-manager writes about its object."""
        involved = self._involved(kind, app.namespace, name)
        return self._event(involved, reason, message, component=loop)

    def scaled(self, app: App, replica_set: str, *, before: int, after: int) -> Event:
        direction = "up" if after > before else "down"
        return self.by_controller(
            app,
            "Deployment",
            app.name,
            "ScalingReplicaSet",
            f"Scaled {direction} replica set {replica_set} from {before} to {after}",
            loop="deployment-controller",
        )

    def by_replica_set(self, app: App, replica_set: str, reason: str, message: str) -> Event:
        loop = "replicaset-controller"
        return self.by_controller(app, "ReplicaSet", replica_set, reason, message, loop=loop)

    def of_pod(self, pod: Pod, reason: str, message: str, *, loop: str | None = None) -> Event:
        """An event about a pod, written by the kubelet or by a controller's loop."""
        involved = self._involved("Pod", pod.app.namespace, pod.name)
        if loop is None:
            return self._event(involved, reason, message, component="kubelet", host=pod.node)
        return self._event(involved, reason, message, component=loop)

    def in_container(self, pod: Pod, reason: str, message: str) -> Event:
        event = self.of_pod(pod, reason, message)
        event["involvedObject"]["fieldPath"] = f"spec.containers{{{pod.app.name}}}"
        return event

    def of_node(self, node: str, reason: str, message: str, *, loop: str | None = None) -> Event:
        """An event about a node, in the namespace `default`."""
        involved: Event = {"kind": "Node", "name": node, "uid": node}
        if loop is None:
            return self._event(involved, reason, message, component="kubelet", host=node)
        return self._event(involved, reason, message, component=loop)

    def of_scheduling(self, pod: Pod, reason: str, message: str, *, action: str) -> Event:
        """An event of the scheduler, written through events.k8s.io: it has no source."""
        involved = self._involved("Pod", pod.app.namespace, pod.name)
        event = self._event(involved, reason, message, component=_SCHEDULER)
        del event["source"]
        return event | {"action": action, "reportingInstance": f"{_SCHEDULER}-control-plane-1"}

    def _event(
        self, involved: Event, reason: str, message: str, *, component: str, host: str = ""
    ) -> Event:
        return {
            "metadata": {
                "name": f"{involved['name']}.{self.chance.getrandbits(60) | 1 << 60:016x}",
                "namespace": involved.get("namespace", "default"),
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": {"component": component, "host": host} if host else {"component": component},
            "type": "Warning" if reason in _WARNINGS else "Normal",
            "reportingComponent": component,
            "reportingInstance": host,
        }

    def _involved(self, kind: str, namespace: str, name: str) -> Event:
        return {
            "kind": kind,
            "namespace": namespace,
            "name": name,
            "uid": _uid(kind, namespace, name),
            "apiVersion": _API_VERSIONS.get(kind, "v1"),
            "resourceVersion": str(self.chance.randint(10_000, 99_999)),
        }


def _uid(kind: str, namespace: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{namespace}/{name}"))
