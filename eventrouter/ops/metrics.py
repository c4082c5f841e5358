"""What is counted. Names and labels are part of the interface: dashboards and alerts use them."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from eventrouter import __version__


class Metrics:
    """All metrics, in a registry of their own. Labels are from closed sets.

    Two sums always hold: received = sent + discarded + queued, and sent = acked + abandoned + in
    flight.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter(
            "eventrouter_events_received", "Event states taken from the API server.", "type"
        )
        self.sent = self._counter(
            "eventrouter_events_sent",
            "Records sent for the first time, resends not counted.",
            "type",
        )
        self.acked = self._counter(
            "eventrouter_events_acked", "Records that the sidecar acknowledged.", "type"
        )
        self.discarded = self._counter(
            "eventrouter_events_discarded", "Events that could not be sent at all.", "reason"
        )
        self.truncated = self._counter(
            "eventrouter_events_truncated", "Records sent, but not whole.", "reason"
        )
        self.abandoned = self._counter(
            "eventrouter_events_abandoned",
            "Records sent, and given up with the leadership before their ack; the next leader's.",
            "type",
        )
        self.lists = self._counter(
            "eventrouter_list", "Pages asked for, probes included.", "result"
        )
        self.watches = self._counter("eventrouter_watch", "Watches, by how they ended.", "result")
        self.relists = self._counter(
            "eventrouter_relist", "Lists of all events, by what made them necessary.", "reason"
        )
        self.chunks_sent = self._counter(
            "eventrouter_chunks_sent", "Frames sent, resends included."
        )
        self.chunks_acked = self._counter("eventrouter_chunks_acked", "Frames acknowledged.")
        self.connects = self._counter(
            "eventrouter_forward_connects", "Connections to the sidecar, by result.", "result"
        )
        self.checkpoints = self._counter(
            "eventrouter_checkpoint_writes", "Checkpoints written, by result.", "result"
        )
        self.errors = self._counter(
            "eventrouter_errors",
            "Errors that were overcome or are being retried.",
            "stage",
            "error_type",
        )
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
        self.last_ack = self._gauge(
            "eventrouter_last_ack_timestamp_seconds", "When the sidecar last acknowledged."
        )
        self.last_delivered = self._gauge(
            "eventrouter_last_delivered_timestamp_seconds",
            "When all that had been acknowledged had last left the sidecar's buffer.",
        )
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

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
