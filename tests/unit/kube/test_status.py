"""What a Status says, whoever wrote it: the error, its reason for the metrics, the hint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.errors import ApiError, ResourceExpired, ResourceVersionTooLarge
from eventrouter.kube.status import answer_error, line_error
from tests.support.strange import strange_events
from tests.support.values import json_values, nested

TOO_LARGE = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large"}]}


def answered(
    code: int, status: dict[str, Any], *, phrase: str = "", retry_after: str | None = None
) -> ApiError:
    return answer_error(
        status, code=code, phrase=phrase, path="/api/v1/events", retry_after=retry_after
    )


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (400, "refused", ""),
        (401, "unauthorized", "--kubeconfig"),
        (403, "forbidden", "role"),
        (404, "not_found", "/api/v1/events"),
        (409, "conflict", ""),
        (429, "throttled", ""),
        (500, "server_error", ""),
        (503, "server_error", ""),
        (504, "server_error", ""),
    ],
)
def test_each_code_has_its_reason_and_perhaps_a_hint(code: int, reason: str, hint: str) -> None:
    error = answered(code, {"message": "said so"})

    assert (error.status, error.reason) == (code, reason)
    assert f"{code}: said so" in str(error)
    assert hint in str(error)


def test_an_answer_without_a_message_says_what_its_status_line_says() -> None:
    assert "Bad Gateway" in str(answered(502, {}, phrase="Bad Gateway"))
    assert "no reason" in str(answered(502, {}))


@pytest.mark.parametrize(
    ("metadata", "token"),
    [({"continue": "t"}, "t"), ({"continue": ""}, None), ({}, None), (None, None), ("x", None)],
)
def test_an_expired_revision_may_come_with_an_offer(metadata: Any, token: str | None) -> None:
    error = answered(410, {"message": "too old", "metadata": metadata})

    assert isinstance(error, ResourceExpired)
    assert error.continue_token == token


def test_a_revision_that_the_server_never_had_is_told_from_another_timeout() -> None:
    assert isinstance(answered(504, {"details": TOO_LARGE}), ResourceVersionTooLarge)
    assert not isinstance(answered(504, {"details": {"causes": [{}]}}), ResourceVersionTooLarge)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("", 0), ("7", 7), ("3600", 60), ("-1", 0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0)],
)
def test_the_wait_that_is_asked_for_is_obeyed_up_to_a_minute(
    header: str | None, seconds: float
) -> None:
    assert answered(429, {}, retry_after=header).retry_after == seconds


@given(json_values, st.sampled_from([401, 404, 410, 429, 504]))
def test_an_answer_of_any_shape_is_an_error_all_the_same(value: Any, code: int) -> None:
    status = {"message": value, "metadata": value, "details": value}

    assert isinstance(answered(code, status), ApiError)
    assert isinstance(answered(code, status | {"details": {"causes": value}}), ApiError)
    assert isinstance(answered(code, status | {"details": {"causes": [value]}}), ApiError)


def test_an_error_line_with_410_is_an_expired_position() -> None:
    error = line_error({"code": 410, "message": "too old resource version: 1 (30)"})

    assert isinstance(error, ResourceExpired)
    assert "too old resource version: 1 (30)" in str(error)


def test_another_error_line_is_an_error_of_the_watch() -> None:
    error = line_error({"code": 500, "message": "etcd is away"})

    assert not isinstance(error, ResourceExpired)
    assert (error.status, error.reason) == (500, "watch_error")
    assert "etcd is away" in str(error)


@pytest.mark.parametrize("code", [None, "410", [410], {}, 5.5, True, nested(1000)])
def test_an_error_line_of_any_shape_is_an_error_all_the_same(code: Any) -> None:
    error = line_error({"code": code, "message": code})

    assert error.reason == "watch_error"
    assert "\n" not in str(error)


@given(strange_events)
def test_an_error_line_with_any_object_is_an_error(status: dict[str, Any]) -> None:
    assert isinstance(line_error(status), ApiError)
