"""The sections of `grafana/eventrouter.json` about what is off by default. Pure.

They ask nothing until somebody opens them, and say which option fills them.
"""

from __future__ import annotations

from dashboards.grafana_graphs import Graph, Query, Section, legend_of, rate, selected

_EVENTS = "eventrouter_kubernetes_events_total"
# Prometheus keeps `namespace` for that of the pod that it scrapes.
_NAMESPACE = "exported_namespace"
_SHOWN = 15


def _ranking(title: str, description: str, by: str, more: str = "") -> Graph:
    counted = f"increase({selected(_EVENTS, more)}[$__range])"
    query = Query(f"topk({_SHOWN}, sum by ({by}) ({counted}) > 0)", legend_of(by))
    return Graph(title, description, 8, "none", (query,), is_ranking=True)


_COUNTERS: Section = (
    "What happens in the cluster (needs --count-events)", 8, (
        Graph("Occurrences a minute, by type and reason", f"The {_SHOWN} most frequent at each"
              " moment. Repeats of an event are counted too. Empty without --count-events.", 16,
              "cpm",
              (Query(f"topk({_SHOWN}, 60 * sum by (type, reason)"
                     f" (rate({_EVENTS}{{PAIR}}[$__rate_interval])) > 0)",
                     "{{type}} {{reason}}"),)),
        Graph("Series in use", "Of the counter of occurrences, and how many there may be. Once all"
              " are in use, what is new counts as other. Empty without --count-events.",
              8, "none",
              (Query("max by (pod) (eventrouter_kubernetes_events_series{PAIR})",
                     "in use {{pod}}"),
               Query("max(eventrouter_kubernetes_events_series_limit{PAIR})", "limit"))),
        _ranking("Namespaces with most warnings", "Occurrences in the time that is shown. Nodes"
                 " have no namespace. Empty without --count-events.",
                 _NAMESPACE, 'type="Warning"'),
        _ranking("Most frequent warnings", "Occurrences in the time that is shown, by reason and"
                 " kind of the object. Empty without --count-events.",
                 "reason, kind", 'type="Warning"'),
        _ranking("Namespaces with most occurrences", "Of all types, in the time that is shown."
                 " Empty without --count-events.", _NAMESPACE),
    ),
)  # fmt: skip

_LOOK_UPS: Section = (
    "Look-ups of objects (needs --enrich)", 8, (
        Graph("Records by what they got", "A second. found: all that was asked for. Empty without"
              " --enrich.", 8, "cps", (rate("eventrouter_enrich_records_total", "result"),)),
        Graph("Look-ups, by result", "Requests to the API server, a second. Empty without"
              " --enrich.", 8, "cps", (rate("eventrouter_enrich_lookups_total", "result"),)),
        Graph("Memory for objects", "What the cache takes, by pod. Empty without --enrich.", 8,
              "bytes", (Query("eventrouter_enrich_cache_bytes{PAIR}", "{{pod}}"),)),
    ),
)  # fmt: skip

OPTIONAL = (_COUNTERS, _LOOK_UPS)
