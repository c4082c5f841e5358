"""The pages and their panels: what an operator asks about the events of clusters. Pure.

The reasons are those that the kubelet, the scheduler and the controllers of Kubernetes write
(pkg/kubelet/events/event.go, pkg/controller/volume/events/event.go and others).
"""

from __future__ import annotations

from dataclasses import replace

from eventrouter.setup.dashboards.panels import Page, Panel, Row, Shape, Split, Unit

KIND, NAME = "event.involvedObject.kind", "event.involvedObject.name"
# An event about an object without a namespace, such as a node, is itself in `default`.
NAMESPACE = "event.metadata.namespace"
REASON, MESSAGE = "event.reason", "event.message.keyword"
CLUSTER, NODE = "cluster", "object.node"
OWNER, OWNER_KIND = "object.owner.name", "object.owner.kind"


def any_of(*reasons: str) -> str:
    """A query for events with one of these reasons."""
    return f"{REASON}:({' OR '.join(reasons)})"


WARNINGS = "event.type:Warning"
NODES = f"{KIND}:Node"
NODE_TROUBLE = f"{NODES} AND " + any_of(
    "NodeNotReady", "NodeNotSchedulable", "Rebooted", "NodeHasDiskPressure",
    "NodeHasInsufficientMemory", "NodeHasInsufficientPID", "InvalidDiskCapacity",
)  # fmt: skip
EVICTIONS = any_of(
    "Evicted", "EvictionThresholdMet", "TaintManagerEviction", "FreeDiskSpaceFailed",
    "ImageGCFailed",
)  # fmt: skip
# node-problem-detector and the kubelet. There is none when a container exceeds its own limit.
OUT_OF_MEMORY = any_of("OOMKilling", "SystemOOM")
SCHEDULING = any_of("FailedScheduling", "NotTriggerScaleUp", "Preempted")
IMAGES = (
    any_of("ErrImageNeverPull", "InspectFailed")
    + f" OR ({any_of('Failed', 'BackOff')}"
    + ' AND event.message:(ErrImagePull OR ImagePullBackOff OR "pull image" OR "pulling image"))'
)
VOLUMES = any_of(
    "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedBinding", "ProvisioningFailed",
    "VolumeResizeFailed", "FileSystemResizeFailed",
)  # fmt: skip
SCALED = any_of("ScalingReplicaSet")
RESCALED = any_of("SuccessfulRescale")
ROLLOUTS = any_of("ScalingReplicaSet", "SuccessfulRescale")
PODS = any_of("SuccessfulCreate", "SuccessfulDelete")
NOT_CREATED = any_of("FailedCreate")
UPDATED = "verb:UPDATED"
PROBES = any_of("Unhealthy")
RESTARTS = f"{any_of('BackOff')} AND event.message:restarting"

_COUNTED = """\
**Events**: each event once, however often it happened. **States**: each change of an event that \
was captured. **Occurrences**: how often an event happened by its own count."""

_BY_REASON = (Split(REASON, 10, "Reason"),)
_BY_MESSAGE = (Split(MESSAGE, 10, "Message"),)
# The name first: it says most, and the other two then have one value or a few.
_BY_OBJECT = (Split(NAME, 15, "Object"), Split(KIND, 3, "Kind"), Split(NAMESPACE, 3, "Namespace"))
# Several namespaces can have an owner of one name.
_BY_OWNER = (
    Split(OWNER, 15, "Owner"), Split(OWNER_KIND, 3, "Kind"), Split(NAMESPACE, 3, "Namespace"),
)  # fmt: skip
_COLUMNS = (REASON, NAMESPACE, KIND, NAME, "event.message")


def number(question: str, unit: Unit, query: str, *, width: int) -> Panel:
    return Panel(question, unit, Shape.NUMBER, query, width)


def timeline(
    question: str, unit: Unit, query: str, *, width: int, by: tuple[Split, ...] = _BY_REASON
) -> Panel:
    return Panel(question, unit, Shape.TIMELINE, query, width, splits=by)


def table(
    question: str, unit: Unit, query: str, *, width: int, by: tuple[Split, ...] = _BY_OBJECT
) -> Panel:
    return Panel(question, unit, Shape.TABLE, query, width, splits=by)


def latest(question: str, query: str, *more_columns: str) -> Panel:
    columns = _COLUMNS + more_columns
    return Panel(question, Unit.STATES, Shape.LATEST, query, 24, columns=columns)


OVERVIEW = Page(
    "Overview",
    "What goes wrong, where, and whether it is more than the day before",
    _COUNTED,
    (
        Row(8, (
            number("Warnings", Unit.EVENTS, WARNINGS, width=4),
            number("Objects with warnings", Unit.OBJECTS, WARNINGS, width=4),
            Panel(
                "Warnings by reason, the last 24 hours against the 24 hours before",
                Unit.EVENTS, Shape.BARS, WARNINGS, 16, splits=_BY_REASON, compares_periods=True,
            ),
        )),
        Row(8, (timeline("Warnings over time by reason", Unit.EVENTS, WARNINGS, width=24),)),
        Row(9, (
            table("Objects with most warnings", Unit.EVENTS, WARNINGS, width=16),
            Panel(
                "Namespaces with most warnings", Unit.EVENTS, Shape.BARS, WARNINGS, 8,
                splits=(Split(NAMESPACE, 10, "Namespace"),),
            ),
        )),
        Row(9, (
            table("Most frequent warnings", Unit.EVENTS, WARNINGS, width=24, by=_BY_MESSAGE),
        )),
        Row(12, (latest("Latest warnings", WARNINGS, "event.count"),)),
    ),
)  # fmt: skip

NODES_AND_EVICTIONS = Page(
    "Nodes and evictions",
    "Which nodes fail, and what is evicted from them",
    _COUNTED,
    (
        Row(8, (
            timeline("Node trouble over time by reason", Unit.EVENTS, NODE_TROUBLE, width=12),
            table(
                "Nodes with most trouble", Unit.EVENTS, NODE_TROUBLE, width=12,
                by=(Split(NAME, 15, "Node"), Split(REASON, 10, "Reason")),
            ),
        )),
        Row(8, (
            timeline("Evictions over time by reason", Unit.EVENTS, EVICTIONS, width=12),
            table("Objects with most evictions", Unit.EVENTS, EVICTIONS, width=12),
        )),
        Row(7, (
            table(
                "Processes that the system killed for memory", Unit.EVENTS, OUT_OF_MEMORY,
                width=24, by=(Split(NAME, 10, "Node"), *_BY_MESSAGE),
            ),
        )),
        Row(12, (latest("Latest events of nodes", NODES),)),
    ),
)  # fmt: skip


def _start_up(subject: str, query: str) -> Row:
    return Row(8, (
        timeline(f"{subject} over time by reason", Unit.EVENTS, query, width=8),
        table(f"{subject}: objects concerned most", Unit.EVENTS, query, width=8),
        table(f"{subject}: most frequent messages", Unit.EVENTS, query, width=8, by=_BY_MESSAGE),
    ))  # fmt: skip


STARTING_PODS = Page(
    "Scheduling, images and volumes",
    "Why pods do not start",
    _COUNTED,
    (
        Row(4, (
            number("Objects that could not be scheduled", Unit.OBJECTS, SCHEDULING, width=8),
            number("Objects without their image", Unit.OBJECTS, IMAGES, width=8),
            number("Objects without their volume", Unit.OBJECTS, VOLUMES, width=8),
        )),
        _start_up("Failed scheduling", SCHEDULING),
        _start_up("Failed image pulls", IMAGES),
        _start_up("Failed volumes", VOLUMES),
    ),
)  # fmt: skip

DEPLOYMENTS = Page(
    "Deployments over time",
    "When which workload was rolled out or scaled",
    _COUNTED,
    (
        Row(8, (
            timeline(
                "Deployments scaled over time", Unit.EVENTS, SCALED, width=16,
                by=(Split(NAME, 15, "Deployment"),),
            ),
            table(
                "Deployments scaled most", Unit.EVENTS, SCALED, width=8,
                by=(Split(NAME, 15, "Deployment"), Split(NAMESPACE, 3, "Namespace")),
            ),
        )),
        Row(8, (
            timeline("Pods created and deleted over time", Unit.EVENTS, PODS, width=12),
            timeline(
                "Autoscaling over time", Unit.EVENTS, RESCALED, width=12,
                by=(Split(NAME, 15, "Autoscaler"),),
            ),
        )),
        Row(7, (
            table(
                "Pods that could not be created", Unit.EVENTS, NOT_CREATED, width=24,
                by=(Split(NAME, 15, "Owner"), Split(NAMESPACE, 3, "Namespace"), *_BY_MESSAGE),
            ),
        )),
        Row(12, (latest("Latest rollouts and scalings", ROLLOUTS),)),
    ),
)  # fmt: skip

FLAPPING = Page(
    "Flapping objects",
    "What keeps happening to the same object",
    _COUNTED,
    (
        Row(8, (timeline("Updates over time by reason", Unit.STATES, UPDATED, width=24),)),
        Row(9, (
            table("Objects with most updates", Unit.STATES, UPDATED, width=12),
            table(
                "Events repeated most", Unit.OCCURRENCES, "", width=12,
                by=(Split(NAME, 15, "Object"), Split(REASON, 3, "Reason")),
            ),
        )),
        Row(9, (
            table("Objects whose probes fail", Unit.STATES, PROBES, width=12),
            table("Objects whose containers keep failing", Unit.STATES, RESTARTS, width=12),
        )),
        Row(12, (latest("Latest updates", UPDATED, "event.count", "event.series.count"),)),
    ),
)  # fmt: skip

_NEEDS_OWNERS = "Empty unless the watcher looks up owners: --enrich, or watch.enrich in the chart."
_NEEDS_NAMES = "Empty unless the clusters have names: --cluster-name, or clusterName in the chart."
_EMPTY = """\
**By owner**: empty without the watcher's `--enrich` (`watch.enrich` in the chart). An event about \
a Deployment itself has no owner. **By cluster**: empty without `clusterName`."""
OWNED_WARNINGS = f"{WARNINGS} AND {OWNER}:*"


def _of_owners(panel: Panel) -> Panel:
    return replace(panel, needs=_NEEDS_OWNERS)


def _of_clusters(panel: Panel) -> Panel:
    return replace(panel, needs=_NEEDS_NAMES)


OWNERS_AND_CLUSTERS = Page(
    "Owners and clusters",
    "Which workload the trouble belongs to, and which cluster",
    _EMPTY,
    (
        Row(8, (
            _of_owners(timeline(
                "Warnings over time by owner", Unit.EVENTS, WARNINGS, width=12,
                by=(Split(OWNER, 10, "Owner"),),
            )),
            _of_owners(table(
                "Owners with most warnings", Unit.EVENTS, WARNINGS, width=12, by=_BY_OWNER
            )),
        )),
        Row(9, (
            _of_owners(table(
                "Owners by reason of warnings", Unit.EVENTS, WARNINGS, width=12,
                by=(Split(OWNER, 15, "Owner"), *_BY_REASON),
            )),
            _of_owners(table(
                "Owners whose containers keep failing", Unit.STATES, RESTARTS, width=12,
                by=_BY_OWNER,
            )),
        )),
        Row(8, (
            _of_clusters(timeline(
                "Warnings over time by cluster", Unit.EVENTS, WARNINGS, width=16,
                by=(Split(CLUSTER, 10, "Cluster"),),
            )),
            _of_clusters(Panel(
                "Clusters with most warnings", Unit.EVENTS, Shape.BARS, WARNINGS, 8,
                splits=(Split(CLUSTER, 10, "Cluster"),),
            )),
        )),
        Row(12, (
            _of_owners(latest(
                "Latest warnings with their owners", OWNED_WARNINGS,
                OWNER_KIND, OWNER, NODE, CLUSTER,
            )),
        )),
    ),
)  # fmt: skip

PAGES = (OVERVIEW, NODES_AND_EVICTIONS, STARTING_PODS, DEPLOYMENTS, FLAPPING, OWNERS_AND_CLUSTERS)
