"""Sum up the watcher's metrics for a person: one line while it runs, a few at the end."""

from __future__ import annotations

from eventrouter.ops.metrics import Metrics


def progress(metrics: Metrics, *, seconds: float) -> str:
    """One line: for how long the watcher has run, and how far its events have come."""
    minutes, rest = divmod(int(seconds), 60)
    captured, sent, acknowledged = _counts(metrics)
    return (
        f"{minutes}:{rest:02}  {captured} captured, {sent} sent, {acknowledged} acknowledged"
        "  Ctrl-C stops"
    )


def summary(metrics: Metrics) -> str:
    """What became of every event state that was captured. The figures add up."""
    captured, sent, acknowledged = _counts(metrics)
    discarded = metrics.total(metrics.discarded)
    lines = [
        ("captured", captured, "event states taken from the API server"),
        ("sent", sent, "records handed to the sidecar"),
        ("acknowledged", acknowledged, "of these, safe in the sidecar's buffer"),
        ("not sent", captured - sent, _reasons(discarded, captured - sent - discarded)),
    ]
    width = len(str(captured))
    return "\n".join(
        ["", *(f"{name:>14}  {count:>{width}}  {text}" for name, count, text in lines)]
    )


def _counts(metrics: Metrics) -> tuple[int, int, int]:
    return (
        metrics.total(metrics.received),
        metrics.total(metrics.sent),
        metrics.total(metrics.acked),
    )


def _reasons(discarded: int, queued: int) -> str:
    if not discarded and not queued:
        return "nothing was left behind"
    return f"{queued} still queued at the stop, {discarded} unreadable"
