"""What a record says of its object: `{"labels", "annotations", "owner", "node"}`."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, Raw, Struct, UnsetType

from eventrouter.enrich.enricher import Enricher
from eventrouter.enrich.owners import Walk
from eventrouter.enrich.subject import Target, subject_of
from eventrouter.kube.schema import Event


class OwnerOfObject(Struct, gc=False):
    """The topmost owner."""

    kind: str
    name: str
    uid: str


class ObjectDetails(Struct, gc=False):
    """The record's `object`; labels and annotations are packed already."""

    labels: Raw | UnsetType
    annotations: Raw | UnsetType
    owner: OwnerOfObject | UnsetType
    node: str | UnsetType


class Details:
    """Gives one reflector's events their objects' details. Not thread-safe."""

    def __init__(self, enricher: Enricher) -> None:
        self._enricher = enricher
        self._delays: dict[str, str] = {}

    def expect(self, events: Iterable[Event]) -> None:
        """Have the objects of these events looked up. Waits a moment at most."""
        unknown: dict[str, Target] = {}
        for event in events:
            subject = subject_of(event, self._enricher.kinds)
            if subject is None or subject.target is None or subject.target.key in unknown:
                continue
            if self._enricher.see(subject.target, subject.node).missing is not None:
                unknown[subject.target.key] = subject.target
        self._delays = self._enricher.ask(tuple(unknown.values())) if unknown else {}

    def of(self, event: Event) -> tuple[ObjectDetails | UnsetType, str]:
        """What is known of the event's object, and how that is counted.

        UNSET and "" for an object of another kind.
        """
        subject = subject_of(event, self._enricher.kinds)
        if subject is None:
            return UNSET, ""
        node = subject.node
        if subject.target is None:
            return _details(None, node), "unnamed"
        way = self._enricher.see(subject.target, node)
        return _details(way, node), self._result(subject.target, way)

    def count(self, result: str) -> None:
        """Count a record that goes out, by the result that `of` gave for it."""
        if result:
            self._enricher.metrics.records.labels(result).inc()

    def _result(self, subject: Target, way: Walk) -> str:
        if way.entry is None or way.entry.state == "unknown":
            return self._delays.get(subject.key, "failed")
        if way.entry.state != "found":
            return way.entry.state
        return "found" if way.is_complete else "partial"


def _details(way: Walk | None, node: str) -> ObjectDetails | UnsetType:
    entry = way and way.entry
    if way is None or entry is None:
        return ObjectDetails(UNSET, UNSET, UNSET, node) if node else UNSET
    owner = way.owner if way.is_complete else None
    node = node or entry.node
    if not (entry.labels or entry.annotations or owner or node):
        return UNSET
    return ObjectDetails(
        Raw(entry.labels) if entry.labels else UNSET,
        Raw(entry.annotations) if entry.annotations else UNSET,
        OwnerOfObject(owner.kind, owner.name, owner.uid) if owner else UNSET,
        node or UNSET,
    )
