"""The kinds that may be looked up: an allow-list, mapped to resources without discovery. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from eventrouter.config import DNS_LABEL, ObjectKind

KNOWN = {
    kind.kind: kind
    for kind in (
        ObjectKind("Pod", "v1", "", "pods", True),
        ObjectKind("Deployment", "v1", "apps", "deployments", True),
        ObjectKind("ReplicaSet", "v1", "apps", "replicasets", True),
        ObjectKind("StatefulSet", "v1", "apps", "statefulsets", True),
        ObjectKind("DaemonSet", "v1", "apps", "daemonsets", True),
        ObjectKind("Job", "v1", "batch", "jobs", True),
        ObjectKind("CronJob", "v1", "batch", "cronjobs", True),
        ObjectKind("Node", "v1", "", "nodes", False),
        ObjectKind("Namespace", "v1", "", "namespaces", False),
        ObjectKind("PersistentVolumeClaim", "v1", "", "persistentvolumeclaims", True),
        ObjectKind("Service", "v1", "", "services", True),
        ObjectKind("Ingress", "v1", "networking.k8s.io", "ingresses", True),
        ObjectKind(
            "HorizontalPodAutoscaler", "v2", "autoscaling", "horizontalpodautoscalers", True
        ),
    )
}
# A right to read their metadata is a right to read what is in them. Of any group: an aggregated API
# or a custom resource of that name holds the same.
_REFUSED_PLURALS = {"secrets", "configmaps"}
_REFUSED_WORDS = {"secret", "configmap", *_REFUSED_PLURALS}

_OTHER = re.compile(
    rf"(?P<kind>[A-Z][0-9A-Za-z]{{0,62}})\.(?P<version>{DNS_LABEL})"
    rf"(?:\.(?P<group>{DNS_LABEL}(?:\.{DNS_LABEL})*))?/(?P<plural>{DNS_LABEL})"
)


def parse_kinds(text: str) -> tuple[ObjectKind, ...]:
    """Kinds with commas or blanks between them: known names, or `Kind.version.group/plural`.

    Raises ValueError for any other, and for Secrets and ConfigMaps however they are written.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("empty; write kinds, as in Pod,ReplicaSet,Deployment")
    kinds = [_parse(word) for word in words]
    named: dict[tuple[str, str], ObjectKind] = {}
    for kind in kinds:
        other = named.setdefault((kind.kind, kind.group), kind)
        if other != kind:
            raise ValueError(f"two resources for the kind {kind.kind}")
    return tuple(named.values())


def _parse(word: str) -> ObjectKind:
    if _is_refused(word):
        raise ValueError("refused: eventrouter reads no Secrets and no ConfigMaps")
    if word in KNOWN:
        return KNOWN[word]
    match = _OTHER.fullmatch(word)
    if not match:
        raise ValueError(
            f"not a list of kinds: {word} is neither one of {', '.join(KNOWN)}"
            " nor Kind.version.group/plural, as in Rollout.v1alpha1.argoproj.io/rollouts"
        )
    given = ObjectKind(match["kind"], match["version"], match["group"] or "", match["plural"])
    known = KNOWN.get(given.kind)
    is_known = known and (known.group, known.plural) == (given.group, given.plural)
    if known and is_known:
        return replace(given, is_namespaced=known.is_namespaced)
    return given


def _is_refused(word: str) -> bool:
    """By the resource first, and by any part that names one of them, in any spelling of case."""
    lowered = word.lower()
    head, _, plural = lowered.partition("/")
    return plural.strip("/ ") in _REFUSED_PLURALS or head.partition(".")[0] in _REFUSED_WORDS


class Kinds:
    """Finds the resource for the kind that an event or an owner reference names."""

    def __init__(self, kinds: Iterable[ObjectKind]) -> None:
        self._by_group = {(kind.kind, kind.group): kind for kind in kinds}
        self._by_name = {kind.kind: kind for kind in self._by_group.values()}

    def find(self, kind: str, api_version: str) -> ObjectKind | None:
        """The kind of this name and group; without an apiVersion, of this name alone.

        The version may be another: the API server gives the same metadata in each.
        """
        if not api_version:
            return self._by_name.get(kind)
        group, slash, _ = api_version.rpartition("/")
        return self._by_group.get((kind, group if slash else ""))
