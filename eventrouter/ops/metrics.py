"""What is counted. Names and labels are part of the interface: dashboards and alerts use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from math import nan
from typing import NamedTuple, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from eventrouter import __version__
from eventrouter.errors import ApiReason, BufferReason, ForwardReason
from eventrouter.ops.series import KeptElsewhere, Shown

TYPES = ("normal", "warning", "other")
_API_REASONS = get_args(ApiReason)

# What a record got of its object, and how a look-up ended.
ENRICHED = (
    "found", "partial", "gone", "replaced", "unnamed",
    "forbidden", "unknown_kind", "throttled", "late", "failed",
)  # fmt: skip
LOOKED_UP = ("ok", "gone", "replaced")


class EnrichmentMetrics(NamedTuple):
    """What is counted of look-ups, if there are any."""

    records: Counter
    lookups: Counter


class Metrics:
    """All metrics, in a registry of their own.

    Two sums always hold: received = sent + discarded + queued, and sent = acked + abandoned + in
    flight. Every counter has all its label values from the start, at 0: Prometheus' `increase()`
    does not see a counter that appears with its first increment.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter(
            "eventrouter_events_received",
            "Event states taken from the API server.",
            type=TYPES,
        )
        self.sent = self._counter(
            "eventrouter_events_sent",
            "Records sent for the first time, resends not counted.",
            type=TYPES,
        )
        self.acked = self._counter(
            "eventrouter_events_acked",
            "Records that the sidecar acknowledged.",
            type=TYPES,
        )
        self.delivered = self._counter(
            "eventrouter_events_delivered",
            "Acknowledged records that have left the sidecar's buffer as well.",
        )
        self.discarded = self._counter(
            "eventrouter_events_discarded",
            "Events that could not be sent at all.",
            reason=("bad_line", "leadership_lost"),
        )
        self.truncated = self._counter(
            "eventrouter_events_truncated",
            "Records sent, but not whole.",
            reason=("size", "depth", "encoding"),
        )
        self.abandoned = self._counter(
            "eventrouter_events_abandoned",
            "Records sent, and given up with the leadership before their ack; the next leader's.",
            type=TYPES,
        )
        self.lists = self._counter(
            "eventrouter_list",
            "Pages asked for, probes included.",
            result=("ok", *_API_REASONS),
        )
        self.watches = self._counter(
            "eventrouter_watch",
            "Watches, by how they ended.",
            result=("closed", "queue_full", "expired", "watch_error", "bad_line"),
        )
        self.relists = self._counter(
            "eventrouter_relist",
            "Lists of all events, by what made them necessary.",
            reason=("start", "expired", "unwatchable", "went_back"),
        )
        self.chunks_sent = self._counter(
            "eventrouter_chunks_sent", "Chunks sent to the sidecar, resends included."
        )
        self.chunks_acked = self._counter(
            "eventrouter_chunks_acked", "Chunks that the sidecar acknowledged."
        )
        self.connects = self._counter(
            "eventrouter_forward_connects",
            "Connections to the sidecar, by result.",
            result=("ok", "failed"),
        )
        self.checkpoints = self._counter(
            "eventrouter_checkpoint_writes",
            "Checkpoints written, by result.",
            result=("ok", "failed"),
        )
        self.errors = self._counter(
            "eventrouter_errors",
            "Errors that were overcome or are being retried.",
            stage=(),
            error_type=(),
        )
        for stage, error_types in (
            ("receiving", _API_REASONS),
            ("sending", get_args(ForwardReason)),
            ("lease", _API_REASONS),
            ("buffer", get_args(BufferReason)),
            ("checkpoint", ("io",)),
        ):
            for error_type in error_types:
                self.errors.labels(stage, error_type)
        self.last_contact = self._gauge(
            "eventrouter_api_contact_timestamp_seconds",
            "When the API server last answered any request as it should.",
        )
        self.events_contact = self._gauge(
            "eventrouter_events_contact_timestamp_seconds",
            "When the API server last answered a list or a watch of this namespace's events as it"
            " should, or when the watcher began to follow them.",
            "namespace",
        )
        self.lease_contact = self._gauge(
            "eventrouter_lease_contact_timestamp_seconds",
            "When the Lease was last read or written; 0 without one.",
        )
        self.last_ack = self._gauge(
            "eventrouter_last_ack_timestamp_seconds", "When the sidecar last acknowledged."
        )
        self.last_delivered = self._gauge(
            "eventrouter_last_delivered_timestamp_seconds",
            "When all that had been acknowledged had last left the sidecar's buffer.",
        )
        self.position = self._gauge(
            "eventrouter_position",
            "The resourceVersion up to which all events of a namespace are acked or delivered.",
            "namespace",
            "reached",
        )
        self._positions: set[tuple[str, str]] = set()
        self.buffer_chunks = self._gauge(
            "eventrouter_buffer_chunks",
            "Chunks that wait in the sidecar's buffer; NaN while it cannot be seen.",
            "outputs",
        )
        self.buffer_oldest = self._gauge(
            "eventrouter_buffer_oldest_chunk_timestamp_seconds",
            "When the oldest waiting chunk was begun; NaN while none waits or can be seen.",
            "outputs",
        )
        for outputs in ("required", "optional"):
            self.show_waiting(outputs, nan, nan)
        self.leading = self._gauge(
            "eventrouter_leading", "1 while this one follows the events, 0 while it stands by."
        )
        self.queue_events = self._gauge("eventrouter_queue_events", "Records queued.")
        self.queue_bytes = self._gauge("eventrouter_queue_bytes", "Bytes queued.")
        self._gauge(
            "eventrouter_events_in_flight", "Records sent and not yet acknowledged."
        ).set_function(self.in_flight)
        self._gauge("eventrouter_build_info", "The version that runs.", "version").labels(
            __version__
        ).set(1)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def in_flight(self) -> int:
        """Records sent, neither acknowledged nor abandoned."""
        return self.total(self.sent) - self.total(self.acked) - self.total(self.abandoned)

    def show_waiting(self, outputs: str, chunks: float, oldest: float) -> None:
        """How many chunks wait for these outputs, and since when the oldest does."""
        self.buffer_chunks.labels(outputs).set(chunks)
        self.buffer_oldest.labels(outputs).set(oldest)

    def add_occurrences(self, shown: Shown, count: Callable[[], int], *, limit: int) -> None:
        """Show what happened in the cluster: `shown` gives the values of the labels, and a value.

        `count` gives how many series there are, `limit` is how many there may be.
        """
        family = partial(
            CounterMetricFamily,
            "eventrouter_kubernetes_events",
            "What happened in the cluster, by its events: occurrences, not states.",
            labels=("type", "reason", "kind", "namespace"),
        )
        self.registry.register(KeptElsewhere(family, shown))
        self._gauge(
            "eventrouter_kubernetes_events_series",
            "Series of eventrouter_kubernetes_events_total.",
        ).set_function(count)
        self._gauge(
            "eventrouter_kubernetes_events_series_limit",
            "At most so many series of eventrouter_kubernetes_events_total.",
        ).set(limit)

    def add_setup(self, shown: Shown) -> None:
        """Show what the setup of each output's index left to do, read at each scrape."""
        family = partial(
            GaugeMetricFamily,
            "eventrouter_setup_incomplete",
            "1 if the setup of an output's index failed or left something, 0 if not; NaN if it had"
            " no login, so that nobody knows.",
            labels=("output", "index"),
        )
        self.registry.register(KeptElsewhere(family, shown))

    def add_enrichment(self, cache_bytes: Callable[[], float]) -> EnrichmentMetrics:
        """Show what became of look-ups. `cache_bytes` gives how much memory the cache takes."""
        self._gauge(
            "eventrouter_enrich_cache_bytes", "Bytes that the cache of looked-up objects takes."
        ).set_function(cache_bytes)
        return EnrichmentMetrics(
            self._counter(
                "eventrouter_enrich_records",
                "Records about an object of a kind to look up, by what they got.",
                result=ENRICHED,
            ),
            self._counter(
                "eventrouter_enrich_lookups",
                "Requests for an object's metadata, by their result.",
                result=(*LOOKED_UP, *_API_REASONS),
            ),
        )

    def show_delivered(self, acked: int) -> None:
        """So many records have left the buffer: all that had been acked at some moment."""
        self.delivered.inc(max(0, acked - self.total(self.delivered)))

    def show_positions(self, **positions: Mapping[str, str]) -> None:
        """The resourceVersions that are `acked` and `delivered`, by namespace. No others exist."""
        wanted = {
            (namespace, reached): int(resource_version)
            for reached, resource_versions in positions.items()
            for namespace, resource_version in resource_versions.items()
        }
        for labels, value in wanted.items():
            self.position.labels(*labels).set(value)
        for labels in self._positions - wanted.keys():
            self.position.remove(*labels)
        self._positions = set(wanted)

    def total(self, counter: Counter) -> int:
        """The sum over all labels of a counter."""
        return int(
            sum(
                sample.value
                for metric in counter.collect()
                for sample in metric.samples
                if sample.name.endswith("_total")
            )
        )

    def _counter(self, name: str, text: str, **known: Sequence[str]) -> Counter:
        """A counter with these labels, and a child for each combination of their known values."""
        counter = Counter(name, text, tuple(known), registry=self.registry)
        if known:
            for values in product(*known.values()):
                counter.labels(*values)
        return counter

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
