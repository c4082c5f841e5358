"""The summary of a demo: its figures add up, and it says what was left behind."""

from __future__ import annotations

from eventrouter.demo.summary import progress, summary
from eventrouter.ops.metrics import Metrics


def metrics(*, captured: int, sent: int, acked: int, discarded: int = 0) -> Metrics:
    result = Metrics()
    result.received.labels("watch").inc(captured)
    result.sent.labels("normal").inc(sent)
    result.acked.labels("normal").inc(acked)
    result.discarded.labels("rubbish").inc(discarded)
    return result


def test_a_demo_that_sent_everything_left_nothing_behind() -> None:
    assert summary(metrics(captured=143, sent=143, acked=143)).splitlines() == [
        "",
        "      captured  143  event states taken from the API server",
        "          sent  143  records handed to the sidecar",
        "  acknowledged  143  of these, safe in the sidecar's buffer",
        "      not sent    0  nothing was left behind",
    ]


def test_what_was_not_sent_is_counted_by_its_reason() -> None:
    last = summary(metrics(captured=100, sent=90, acked=80, discarded=3)).splitlines()[-1]

    assert last == "      not sent   10  7 still queued at the stop, 3 unreadable"


def test_the_progress_says_for_how_long_and_how_far() -> None:
    line = progress(metrics(captured=5, sent=4, acked=3), seconds=125.9)

    assert line == "2:05  5 captured, 4 sent, 3 acknowledged  Ctrl-C stops"
