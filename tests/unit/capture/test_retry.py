"""After the API server refused or failed: counted each time, told once, waited out."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from eventrouter.capture.retry import Retry
from eventrouter.clock import Backoff
from eventrouter.errors import ApiError, ResourceExpired
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeStop

AWAY = ApiError("cannot reach it", reason="unreachable")
REFUSED = ApiError("not allowed", reason="forbidden", status=403)


@pytest.fixture
def retry(stop: FakeStop, metrics: Metrics) -> Retry:
    backoff = Backoff(first=1.0, cap=8.0, uniform=lambda low, high: 1.0)
    return Retry(namespace="shop", backoff=backoff, stop=stop, metrics=metrics)


@pytest.fixture(autouse=True)
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage().partition(";")[0]) for record in caplog.records]


def test_each_failure_waits_longer(retry: Retry, stop: FakeStop) -> None:
    for _ in range(5):
        retry.wait_after(AWAY)

    assert stop.waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_no_wait_is_shorter_than_the_server_asked_for(retry: Retry, stop: FakeStop) -> None:
    retry.wait_after(ApiError("slow down", reason="throttled", status=429, retry_after=5.0))
    retry.wait_after(ApiError("slow down", reason="throttled", status=429, retry_after=0.5))

    assert stop.waits == [5.0, 2.0]


def test_an_answer_alone_does_not_make_the_waits_short(retry: Retry, stop: FakeStop) -> None:
    """A server that answers and fails by turns would be asked in a tight loop."""
    for _ in range(3):
        retry.wait_after(AWAY)
        retry.succeeded()

    assert stop.waits == [1.0, 2.0, 4.0]


def test_after_a_while_of_health_the_waits_are_short_again(retry: Retry, stop: FakeStop) -> None:
    retry.wait_after(AWAY)
    retry.wait_after(AWAY)

    retry.reset()
    retry.wait_after(AWAY)

    assert stop.waits == [1.0, 2.0, 1.0]


def test_every_failure_is_counted_by_its_reason(retry: Retry, metrics: Metrics) -> None:
    for error in (AWAY, AWAY, REFUSED, ResourceExpired("compacted")):
        retry.wait_after(error)

    def count(reason: str) -> float | None:
        return metrics.registry.get_sample_value(
            "eventrouter_errors_total", {"stage": "receiving", "error_type": reason}
        )

    assert [count(reason) for reason in ("unreachable", "forbidden", "expired")] == [2, 1, 1]


def test_a_trouble_is_told_when_it_begins_and_when_it_ends(
    retry: Retry, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        retry.wait_after(AWAY)
    for _ in range(3):
        retry.succeeded()

    assert told(caplog) == [("ERROR", "cannot reach it"), ("INFO", "The API server answers again")]


def test_a_trouble_is_told_anew_when_it_changes(
    retry: Retry, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (AWAY, REFUSED, REFUSED):
        retry.wait_after(error)

    assert told(caplog) == [("ERROR", "cannot reach it"), ("ERROR", "not allowed")]


def test_a_trouble_that_comes_back_is_told_again(
    retry: Retry, caplog: pytest.LogCaptureFixture
) -> None:
    retry.wait_after(AWAY)
    retry.succeeded()
    retry.wait_after(AWAY)

    assert [level for level, _ in told(caplog)] == ["ERROR", "INFO", "ERROR"]


def test_an_expired_position_is_no_trouble(retry: Retry, caplog: pytest.LogCaptureFixture) -> None:
    """Everyday business in a quiet cluster, and the relist is told by itself."""
    retry.wait_after(ResourceExpired("compacted"))
    retry.succeeded()

    assert told(caplog) == []


def test_the_log_says_where_and_why(retry: Retry, caplog: pytest.LogCaptureFixture) -> None:
    retry.wait_after(REFUSED)

    assert vars(caplog.records[0])["namespace"] == "shop"
    assert vars(caplog.records[0])["reason"] == "forbidden"


def test_while_stopping_nothing_is_waited_for_and_nothing_told(
    retry: Retry, stop: FakeStop, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """The connections that we close ourselves are no errors."""
    stop.set()

    retry.wait_after(AWAY)

    assert stop.waits == []
    assert told(caplog) == []
    assert metrics.total(metrics.errors) == 0
