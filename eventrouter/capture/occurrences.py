"""Counts how often things happened, from the states of events, in a bounded number of series.

A record is a state, and a state may stand for many occurrences: so the difference to the state
before is counted. Pure, but for a lock: all reflectors share one tally.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder

from eventrouter.kube.schema import Event, is_resource_version

OTHER = "other"
_TYPES = {"Normal": "Normal", "Warning": "Warning"}
# Reasons and kinds are any client's text; events.k8s.io allows a reason of 128 characters.
_MAX_LABEL_CHARACTERS = 128
# A client may write any count: one that jumps by more than this would drown all others in a float.
MAX_DIFFERENCE = 1_000_000
# So much of all series one namespace may take, so that it cannot take those of the others.
_SHARE_OF_NAMESPACE = 4


class _Series(Struct, gc=False, rename="camel"):
    count: int | None = None


class _Metadata(Struct, gc=False, rename="camel"):
    resource_version: str = ""


class _State(Struct, gc=False, rename="camel"):
    """What of a packed state says how often the event happened, and which state it is."""

    metadata: _Metadata
    count: int | None = None
    series: _Series | None = None


_state = Decoder(_State).decode


class Labels(NamedTuple):
    """What a series is about."""

    type: str
    reason: str
    kind: str
    namespace: str


class _Count:
    """The value of one series, and whether it was shown at 0 first."""

    __slots__ = ("is_shown", "value")

    def __init__(self) -> None:
        self.value = 0
        self.is_shown = False


def occurrences(event: Event, old_state: bytes | None) -> int:
    """How many occurrences this state adds to those of the packed state before it.

    One if that state is not known, or if its count is higher: then the writer began anew. None if
    that state came after this one, as where a list shows what a watch has brought meanwhile. At
    most MAX_DIFFERENCE.
    """
    if old_state is None:
        return 1
    try:
        old = _state(old_state)
    except MsgspecError:  # of an UntypedEvent, with a text for a count
        return 1
    if _revision(old.metadata.resource_version) > _revision(event.metadata.resource_version):
        return 0
    before = (old.series.count if old.series else old.count) or 1
    difference = _count(event) - before
    return min(difference, MAX_DIFFERENCE) if difference >= 0 else 1


def _revision(resource_version: str) -> int:
    """To compare two of one event; 0 where there is none."""
    return int(resource_version) if is_resource_version(resource_version) else 0


def _count(event: Event) -> int:
    return (event.series.count if event.series else event.count) or 1


def labels_of(event: Event) -> Labels:
    """The labels of an event's series: bounded in length, and without any object's name.

    The namespace is that of the object, and empty for an object without one, such as a Node. It is
    read where the API server has looked at the writer's rights: an event with an `eventTime` may
    name an object of any namespace (pkg/apis/core/validation/events.go).
    """
    involved = event.involved_object
    kind = namespace = ""
    if involved:
        kind = involved.kind or ""
        namespace = (involved.namespace and event.metadata.namespace) or ""
    return Labels(
        _TYPES.get(event.type or "", OTHER),
        (event.reason or "")[:_MAX_LABEL_CHARACTERS],
        kind[:_MAX_LABEL_CHARACTERS],
        namespace[:_MAX_LABEL_CHARACTERS],
    )


class Occurrences:
    """The tally of all reflectors, in at most `max_series` series. Thread-safe.

    A namespace that has a quarter of them gets no more: what is new of it then counts with `reason`
    and `kind` as "other". If all are taken, `namespace` is "other" as well.
    """

    def __init__(self, *, max_series: int) -> None:
        self._lock = threading.Lock()
        rest = [Labels(type_, OTHER, OTHER, OTHER) for type_ in (*_TYPES, OTHER)]
        self._series = {labels: _Count() for labels in rest}
        self.max_series = max(max_series, len(rest))
        self._max_of_namespace = max(max_series // _SHARE_OF_NAMESPACE, 1)
        self._of_namespace: Counter[str] = Counter()

    def add(self, event: Event, old_state: bytes | None) -> None:
        """Count a state that goes out; `old_state` is the last packed one, if it is known."""
        added = occurrences(event, old_state)
        if not added:
            return
        labels = labels_of(event)
        with self._lock:
            count = self._series.get(labels) or self._new(labels)
            count.value += added

    def _new(self, labels: Labels) -> _Count:
        """The series to count in that is not there yet, or the one that stands for it."""
        namespace = labels.namespace
        is_own = self._of_namespace[namespace] < self._max_of_namespace
        if not is_own:
            labels = Labels(labels.type, OTHER, OTHER, namespace)
        count = self._series.get(labels)
        if count is not None:
            return count
        if len(self._series) >= self.max_series:
            return self._series[Labels(labels.type, OTHER, OTHER, OTHER)]
        if is_own:
            self._of_namespace[namespace] += 1
        count = self._series[labels] = _Count()
        return count

    def show(self) -> Iterator[tuple[Labels, int]]:
        """All series with their values, each at 0 when it is shown for the first time.

        Prometheus' `increase()` does not see what a series has when it appears.
        """
        with self._lock:
            shown = [
                (labels, count.value if count.is_shown else 0)
                for labels, count in self._series.items()
            ]
            for count in self._series.values():
                count.is_shown = True
        yield from shown

    def __len__(self) -> int:
        return len(self._series)
