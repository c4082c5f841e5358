"""What each panel has to show for the known events: counted here in Python, not by a server.

Nothing of it is taken from the panels. The keys of EXPECTED are the titles that users see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.dashboards.known_events import Document

Where = Callable[[Document], bool]
Numbers = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class By:
    """A split: the key of a document, and how many keys are shown; None for all."""

    key: Callable[[Document], str | None]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """The documents of a panel, and how they are split."""

    where: Where
    by: tuple[By, ...] = ()


def field(path: str) -> Callable[[Document], Any]:
    def get(document: Document) -> Any:
        value: Any = document.source
        for name in path.split("."):
            value = (value or {}).get(name)
        return value

    return get


uid, object_uid = field("event.metadata.uid"), field("event.involvedObject.uid")
reason, message = field("event.reason"), field("event.message")
kind, name = field("event.involvedObject.kind"), field("event.involvedObject.name")
namespace = field("event.metadata.namespace")
owner, owner_kind = field("object.owner.name"), field("object.owner.kind")
cluster = field("cluster")


def hour(document: Document) -> str:
    return document.at.strftime("%Y-%m-%dT%H:00:00.000Z")


def period_of(newest: Document) -> Callable[[Document], str]:
    """Which day a document is of. The newest document is some minutes old."""
    border = newest.at - timedelta(hours=24)
    return lambda document: "Last 24 hours" if document.at > border else "24 hours before"


def is_of(*reasons: str) -> Where:
    return lambda document: reason(document) in reasons


def is_warning(document: Document) -> bool:
    return bool(document.source["event"]["type"] == "Warning")


def is_node(document: Document) -> bool:
    return bool(kind(document) == "Node")


def is_update(document: Document) -> bool:
    return bool(document.source["verb"] == "UPDATED")


def is_image(document: Document) -> bool:
    text = message(document)
    return reason(document) in ("Failed", "BackOff") and any(
        words in text for words in ("ErrImagePull", "ImagePullBackOff", "pull image", "pulling im")
    )


def all_of(*conditions: Where) -> Where:
    return lambda document: all(condition(document) for condition in conditions)


is_node_trouble = all_of(is_node, is_of("NodeNotReady", "Rebooted", "NodeHasDiskPressure"))
is_eviction = is_of(
    "Evicted", "EvictionThresholdMet", "TaintManagerEviction", "FreeDiskSpaceFailed"
)
is_unscheduled = is_of("FailedScheduling", "NotTriggerScaleUp", "Preempted")
is_volume = is_of("FailedMount", "FailedAttachVolume", "ProvisioningFailed")
is_restart = all_of(is_of("BackOff"), lambda document: "restarting" in message(document))

OBJECT = (By(name, 15), By(kind, 3), By(namespace, 3))
OWNER = (By(owner, 15), By(owner_kind, 3), By(namespace, 3))
REASON, MESSAGE = (By(reason, 10),), (By(message, 10),)
OVER_TIME = (By(hour),)


def expected(documents: Sequence[Document]) -> dict[str, Expected]:
    """By title. For a panel of the latest states, only the condition counts."""
    period = By(period_of(max(documents, key=lambda document: document.at)))
    return {
        "Warnings (events)": Expected(is_warning),
        "Objects with warnings (objects)": Expected(is_warning),
        "Warnings by reason, the last 24 hours against the 24 hours before (events)": Expected(
            is_warning, (*REASON, period)
        ),
        "Warnings over time by reason (events)": Expected(is_warning, (*OVER_TIME, *REASON)),
        "Objects with most warnings (events)": Expected(is_warning, OBJECT),
        "Namespaces with most warnings (events)": Expected(is_warning, (By(namespace, 10),)),
        "Most frequent warnings (events)": Expected(is_warning, MESSAGE),
        "Latest warnings (states)": Expected(is_warning),
        "Node trouble over time by reason (events)": Expected(
            is_node_trouble, (*OVER_TIME, *REASON)
        ),
        "Nodes with most trouble (events)": Expected(is_node_trouble, (By(name, 15), *REASON)),
        "Evictions over time by reason (events)": Expected(is_eviction, (*OVER_TIME, *REASON)),
        "Objects with most evictions (events)": Expected(is_eviction, OBJECT),
        "Processes that the system killed for memory (events)": Expected(
            is_of("OOMKilling", "SystemOOM"), (By(name, 10), *MESSAGE)
        ),
        "Latest events of nodes (states)": Expected(is_node),
        "Objects that could not be scheduled (objects)": Expected(is_unscheduled),
        "Objects without their image (objects)": Expected(is_image),
        "Objects without their volume (objects)": Expected(is_volume),
        **_start_up("Failed scheduling", is_unscheduled),
        **_start_up("Failed image pulls", is_image),
        **_start_up("Failed volumes", is_volume),
        "Deployments scaled over time (events)": Expected(
            is_of("ScalingReplicaSet"), (*OVER_TIME, By(name, 15))
        ),
        "Deployments scaled most (events)": Expected(
            is_of("ScalingReplicaSet"), (By(name, 15), By(namespace, 3))
        ),
        "Pods created and deleted over time (events)": Expected(
            is_of("SuccessfulCreate", "SuccessfulDelete"), (*OVER_TIME, *REASON)
        ),
        "Autoscaling over time (events)": Expected(
            is_of("SuccessfulRescale"), (*OVER_TIME, By(name, 15))
        ),
        "Pods that could not be created (events)": Expected(
            is_of("FailedCreate"), (By(name, 15), By(namespace, 3), *MESSAGE)
        ),
        "Latest rollouts and scalings (states)": Expected(
            is_of("ScalingReplicaSet", "SuccessfulRescale")
        ),
        "Updates over time by reason (states)": Expected(is_update, (*OVER_TIME, *REASON)),
        "Objects with most updates (states)": Expected(is_update, OBJECT),
        "Events repeated most (occurrences)": Expected(
            lambda _: True, (By(name, 15), By(reason, 3))
        ),
        "Objects whose probes fail (states)": Expected(is_of("Unhealthy"), OBJECT),
        "Objects whose containers keep failing (states)": Expected(is_restart, OBJECT),
        "Latest updates (states)": Expected(is_update),
        "Warnings over time by owner (events)": Expected(is_warning, (*OVER_TIME, By(owner, 10))),
        "Owners with most warnings (events)": Expected(is_warning, OWNER),
        "Owners by reason of warnings (events)": Expected(is_warning, (By(owner, 15), *REASON)),
        "Owners whose containers keep failing (states)": Expected(is_restart, OWNER),
        "Warnings over time by cluster (events)": Expected(
            is_warning, (*OVER_TIME, By(cluster, 10))
        ),
        "Clusters with most warnings (events)": Expected(is_warning, (By(cluster, 10),)),
        "Latest warnings with their owners (states)": Expected(
            all_of(is_warning, lambda document: owner(document) is not None)
        ),
    }


def _start_up(subject: str, where: Where) -> dict[str, Expected]:
    return {
        f"{subject} over time by reason (events)": Expected(where, (*OVER_TIME, *REASON)),
        f"{subject}: objects concerned most (events)": Expected(where, OBJECT),
        f"{subject}: most frequent messages (events)": Expected(where, MESSAGE),
    }


def count(unit: str, documents: Sequence[Document]) -> Numbers:
    """The numbers that a unit, the word in a title's parentheses, stands for."""
    if unit == "states":
        return (len(documents),)
    if unit == "events":
        return (len({uid(document) for document in documents}),)
    if unit == "objects":
        return (len({object_uid(document) for document in documents}),)
    assert unit == "occurrences"
    return _highest("event.count", documents), _highest("event.series.count", documents)


def _highest(path: str, documents: Iterable[Document]) -> float | None:
    return max((n for n in map(field(path), documents) if n is not None), default=None)


def check(
    rows: Mapping[tuple[str, ...], Numbers],
    documents: Sequence[Document],
    by: Sequence[By],
    unit: str,
) -> None:
    """The rows are those of the documents: of the highest where only some are shown."""
    if not by:
        assert rows == {(): count(unit, documents)}
        return
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        if (key := by[0].key(document)) is not None:
            groups[key].append(document)
    inner: dict[str, dict[tuple[str, ...], Numbers]] = defaultdict(dict)
    for row, numbers in rows.items():
        inner[row[0]][row[1:]] = numbers
    assert inner.keys() <= groups.keys()
    assert len(inner) == min(by[0].size or len(groups), len(groups))
    heights = {key: count(unit, group)[0] or 0 for key, group in groups.items()}
    lowest_shown = min(heights[key] for key in inner)
    left = {key: heights[key] for key in groups.keys() - inner.keys()}
    assert max(left.values(), default=0) <= lowest_shown, (left, rows)
    for key, below in inner.items():
        check(below, groups[key], by[1:], unit)
