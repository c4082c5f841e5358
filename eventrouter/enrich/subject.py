"""The object that an event is about: where to ask for it, and what the event says of its node.

Pure. All of it is some client's text: what cannot be part of a path is not looked up.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from eventrouter.config import DNS_LABEL, ObjectKind
from eventrouter.enrich.kinds import Kinds
from eventrouter.kube.schema import Event

# Longer than any uid, and than any name in a path.
_is_uid = re.compile(r"[0-9A-Za-z._:-]{1,253}").fullmatch
# No slash, no percent sign and no name of dots alone: nothing that leads to another resource.
_is_name = re.compile(r"[0-9A-Za-z](?:[-0-9A-Za-z_.:]{0,251}[0-9A-Za-z])?").fullmatch
_is_namespace = re.compile(DNS_LABEL).fullmatch
_scheduled_to = re.compile(r"Successfully assigned \S{1,400} to ([0-9A-Za-z.-]{1,253})").fullmatch
_MAX_NODE_CHARACTERS = 253


class Target(NamedTuple):
    """An object to look up, by its name, and to accept by its uid."""

    kind: ObjectKind
    namespace: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        """Where the API server has it."""
        kind = self.kind
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        scope = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{root}{scope}/{kind.plural}/{self.name}"

    @property
    def key(self) -> str:
        """Names it in the cache. Not the uid alone: an event may claim that of another object."""
        kind = self.kind
        return f"{self.uid}/{kind.plural}.{kind.group}/{self.namespace}/{self.name}"

    def is_met_by(self, uid: str) -> bool:
        """Whether the object that has the name is the one that was meant.

        The kubelet writes a Node's name in the place of its uid (pkg/kubelet, `NodeRef`).
        """
        is_named_node = self.kind.plural == "nodes" and not self.kind.group
        return uid == self.uid or (is_named_node and self.uid == self.name)


def target(kind: ObjectKind, *, namespace: str, name: str, uid: str) -> Target | None:
    """What to look up; None if it cannot be, for want of a uid or of a name that can be one."""
    namespace = "" if kind.is_namespaced is False else namespace
    if not (_is_uid(uid) and _is_name(name)):
        return None
    if not _is_namespace(namespace) if namespace else kind.is_namespaced:
        return None
    return Target(kind, namespace, name, uid)


class Subject(NamedTuple):
    """What an event is about. `target` is None if it cannot be looked up; `node` may be ""."""

    target: Target | None
    node: str


def subject_of(event: Event, kinds: Kinds) -> Subject | None:
    """The object of an event, if its kind is one of these."""
    involved = event.involved_object
    if not involved:
        return None
    kind = kinds.find(involved.kind or "", involved.api_version or "")
    if kind is None:
        return None
    name, uid = involved.name or "", involved.uid or ""
    found = target(kind, namespace=involved.namespace or "", name=name, uid=uid)
    return Subject(found, _node(event, kind, name)[:_MAX_NODE_CHARACTERS])


def _node(event: Event, kind: ObjectKind, name: str) -> str:
    """Which node the object is on or is: its metadata does not tell, the event's writer does."""
    if kind.plural == "nodes" and not kind.group:
        return name
    if kind.plural != "pods" or kind.group:
        return ""
    if event.source and event.source.component == "kubelet":
        return event.source.host or ""
    if event.reporting_component == "kubelet":
        return event.reporting_instance or ""
    if event.reason == "Scheduled" and (match := _scheduled_to(event.message or "")):
        return match[1]
    return ""
