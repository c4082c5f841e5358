"""`grafana/eventrouter.json`: the pair's own health, from Prometheus. Pure.

The metrics are explained in docs/operations.md. The selector has the labels of the chart's alerts;
"All" also finds series that lack one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dashboards.grafana_form import COLUMNS, Json, Layout, dashboard, datasource_variable
from dashboards.grafana_graphs import (
    SOURCE,
    Graph,
    Query,
    Section,
    age,
    increase,
    panel_of,
    rate,
)
from dashboards.grafana_options import OPTIONAL

SECTIONS: tuple[Section, ...] = (
    ("Is the pair healthy?", 4, (
        Graph("Watchers that lead", "One is right: it captures the events. None: no events are"
              " captured.", 4, "none", (Query("sum(eventrouter_leading{PAIR})"),),
              (1, 1), is_figure=True, is_low_bad=True),
        Graph("API server answered", "How long ago. Red: no events are captured.", 4, "s",
              age("eventrouter_api_contact_timestamp_seconds"), (60, 120), is_figure=True),
        Graph("Fluent Bit acknowledged", "How long ago. Red: captured events wait in the watcher.",
              4, "s", age("eventrouter_last_ack_timestamp_seconds"), (60, 120), is_figure=True),
        Graph("All delivered", "How long ago nothing waited in Fluent Bit's buffer. Red: an output"
              " is down or refuses.", 4, "s",
              age("eventrouter_last_delivered_timestamp_seconds", " > 0"), (300, 900),
              is_figure=True),
        Graph("Events lost in the last day", "Events that could not be sent, and those that an"
              " output dropped. An S3 output also counts retries here.", 4, "none",
              (Query("sum(increase(eventrouter_events_discarded_total"
                     '{PAIR,reason!="leadership_lost"}[1d]))'
                     " + (sum(increase(fluentbit_output_dropped_records_total{PAIR}[1d]))"
                     " or vector(0))"),),
              (1, 1), is_figure=True),
        Graph("Versions", "How many pods run which version.", 4, "none",
              (Query("sum by (version) (eventrouter_build_info{PAIR})", "{{version}}"),),
              is_figure=True),
    )),
    ("What passes", 8, (
        Graph("Events captured, by type", "States taken from the API server, a second.", 8, "cps",
              (rate("eventrouter_events_received_total", "type"),)),
        Graph("Events acknowledged, by type", "Records that Fluent Bit has in its buffer, a"
              " second. Less than captured: they wait in the watcher.", 8, "cps",
              (rate("eventrouter_events_acked_total", "type"),)),
        Graph("Events delivered, by output", "Records that each output has delivered, a second.",
              8, "cps", (rate("fluentbit_output_proc_records_total", "name"),)),
    )),
    ("What waits", 8, (
        Graph("In the watcher", "Records that Fluent Bit has not acknowledged.", 8, "none",
              (Query("sum(eventrouter_queue_events{PAIR})", "queued"),
               Query("sum(eventrouter_events_in_flight{PAIR})", "sent, not acknowledged"))),
        Graph("In Fluent Bit's buffer", "Chunks, of up to 2 MB each, by the outputs that they wait"
              " for.", 8, "none",
              (Query("sum by (outputs) (eventrouter_buffer_chunks{PAIR} >= 0)", "{{outputs}}"),)),
        Graph("Retries, by output", "Deliveries that failed and are tried again.", 8, "none",
              (increase("fluentbit_output_retries_total", "name"),
               increase("fluentbit_output_errors_total", "name", "errors"))),
    )),
    ("How late", 8, (
        Graph("Age of the oldest waiting chunk", "By the outputs that it waits for. No line: none"
              " waits.", 12, "s",
              (Query("time() - min by (outputs)"
                     " (eventrouter_buffer_oldest_chunk_timestamp_seconds{PAIR})",
                     "{{outputs}}"),)),
        Graph("Since each link last worked", "Ages grow during an outage, and fall to nearly zero"
              " after it.", 12, "s",
              (Query("time() - min by (exported_namespace)"
                     " (eventrouter_events_contact_timestamp_seconds{PAIR})",
                     "events of {{exported_namespace}}"),
               Query("time() - max(eventrouter_last_ack_timestamp_seconds{PAIR})", "Fluent Bit"),
               Query("time() - max(eventrouter_last_delivered_timestamp_seconds{PAIR} > 0)",
                     "all delivered"),
               Query("time() - min(eventrouter_lease_contact_timestamp_seconds{PAIR} > 0)",
                     "Lease"))),
    )),
    ("What was dropped, cut or sent again", 8, (
        Graph("Dropped", "Events that could not be sent, by reason (leadership_lost: the next"
              " leader sends them), and records that an output gave up.", 8, "none",
              (increase("eventrouter_events_discarded_total", "reason"),
               increase("fluentbit_output_dropped_records_total", "name", "output"))),
        Graph("Cut", "Records that were too large, too deep or not encodable, sent all the same.",
              8, "none", (increase("eventrouter_events_truncated_total", "reason"),)),
        Graph("Gaps in the history", "Full lists: expired means that states between two may be"
              " missing, went_back that etcd was restored.", 8, "none",
              (increase("eventrouter_relist_total", "reason"),)),
    )),
    ("What goes wrong inside", 8, (
        Graph("Errors that are being retried", "By stage and type.", 6, "none",
              (increase("eventrouter_errors_total", "stage, error_type"),)),
        Graph("Failures", "Checkpoints that could not be written, connections to Fluent Bit that"
              " failed, requests and watches that did not end well.", 6, "none",
              (increase("eventrouter_checkpoint_writes_total", "result", "checkpoint",
                         'result="failed"'),
               increase("eventrouter_forward_connects_total", "result", "connection",
                         'result="failed"'),
               increase("eventrouter_list_total", "result", "list", 'result!="ok"'),
               increase("eventrouter_watch_total", "result", "watch", 'result!="closed"'))),
        Graph("Resent or given up", "Chunks that were sent more than once, and records that the"
              " next leader sends again.", 6, "none",
              (Query("sum(increase(eventrouter_chunks_sent_total{PAIR}[$__rate_interval]))"
                     " - sum(increase(eventrouter_chunks_acked_total{PAIR}[$__rate_interval]))"
                     " > 0", "chunks"),
               increase("eventrouter_events_abandoned_total", "type", "given up"))),
        Graph("Indices that are not set up", "1 for each pod whose setup did not complete:"
              " its /readyz says why.", 6, "none",
              (Query("eventrouter_setup_incomplete{PAIR} == 1",
                     "{{cluster}} {{namespace}}/{{pod}}: {{index}} of {{output}}"),)),
    )),
    ("What it costs", 8, (
        Graph("Memory of the watcher", "Resident, by pod.", 8, "bytes",
              (Query("process_resident_memory_bytes{PAIR}", "{{pod}}"),)),
        Graph("CPU of the watcher", "Seconds a second, by pod.", 8, "none",
              (Query("rate(process_cpu_seconds_total{PAIR}[$__rate_interval])", "{{pod}}"),)),
        Graph("Queued in the watcher", "Bytes. The watch is closed while the queue is full.", 8,
              "bytes", (Query("sum(eventrouter_queue_bytes{PAIR})", "queued"),)),
    )),
)  # fmt: skip


def health() -> Json:
    """The dashboard."""
    layout = Layout()
    for sections, is_collapsed in ((SECTIONS, False), (OPTIONAL, True)):
        for name, height, graphs in sections:
            section = layout.section(name, is_collapsed=is_collapsed)
            for row in _rows(graphs):
                layout.row(height, [(graph.width, panel_of(graph)) for graph in row], section)
    return dashboard(
        uid="eventrouter-health",
        title="eventrouter",
        description="Whether eventrouter captures, what waits, what was dropped and how late it is",
        time_from="now-6h",
        variables=[
            datasource_variable("prometheus"),
            _label_variable("cluster", "Cluster", ""),
            _label_variable("namespace", "Namespace", '{cluster=~"$cluster"}'),
            _label_variable("job", "Job", '{cluster=~"$cluster",namespace=~"$namespace"}'),
        ],
        panels=layout.panels,
    )


def _rows(graphs: Iterable[Graph]) -> Iterator[list[Graph]]:
    """As many side by side as there is room for."""
    row: list[Graph] = []
    for graph in graphs:
        if sum(each.width for each in (*row, graph)) > COLUMNS:
            yield row
            row = []
        row.append(graph)
    yield row


def _label_variable(name: str, label: str, selector: str) -> Json:
    query = f"label_values(eventrouter_build_info{selector}, {name})"
    return {
        "name": name, "type": "query", "label": label, "datasource": SOURCE,
        "query": {"query": query, "refId": "variable"}, "definition": query,
        "includeAll": True, "allValue": ".*", "multi": False, "refresh": 2, "sort": 1, "hide": 0,
        "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip
