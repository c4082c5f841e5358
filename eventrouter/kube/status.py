"""The Status object, with which the API server refuses: an HTTP answer's, an ERROR line's. Pure.

It is apimachinery's meta/v1 Status, but a proxy may have written it: any field may be of any type.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventrouter.errors import ApiError, ApiReason, ResourceExpired, ResourceVersionTooLarge

# A server may ask for any wait; the watcher does not obey a longer one.
_MAX_RETRY_AFTER_SECONDS = 60.0


class _Meaning(NamedTuple):
    """The `reason` of the ApiError, and what the operator may do about it."""

    reason: ApiReason
    hint: str = ""


_MEANINGS = {
    401: _Meaning("unauthorized", "; the credentials are not accepted: see --kubeconfig"),
    403: _Meaning("forbidden", "; is the role bound to it?"),
    404: _Meaning("not_found", "; is there a Kubernetes API at {path}?"),
    409: _Meaning("conflict"),
    429: _Meaning("throttled"),
}
_SERVER_ERROR = _Meaning("server_error")
_REFUSED = _Meaning("refused")


def answer_error(
    status: dict[str, Any], *, code: int, phrase: str | None, path: str, retry_after: str | None
) -> ApiError:
    """The error of an HTTP answer that is not 200 or 201.

    `status` is its body, empty if that was no JSON object; `phrase` is from its status line, and
    `retry_after` is the header.
    """
    message = _text(status.get("message")) or phrase or "no reason given"
    if code == 410:
        token = _object(status.get("metadata")).get("continue")
        return ResourceExpired(message, continue_token=_text(token) or None)
    if code == 504 and _has_cause(status, "ResourceVersionTooLarge"):
        return ResourceVersionTooLarge(message)
    meaning = _MEANINGS.get(code, _SERVER_ERROR if code >= 500 else _REFUSED)
    return ApiError(
        f"the API server answered {code}: {message}{meaning.hint.format(path=path)}",
        reason=meaning.reason,
        status=code,
        retry_after=_seconds(retry_after or ""),
    )


def line_error(status: dict[str, Any]) -> ApiError:
    """The error of a watch's ERROR line, whose object is `status`."""
    code = status.get("code")
    code = code if isinstance(code, int) else 0
    message = f"the watch ended with {code}: {_text(status.get('message')) or 'no message'}"
    if code == 410:
        return ResourceExpired(message)
    return ApiError(message, reason="watch_error", status=code)


def _has_cause(status: dict[str, Any], reason: str) -> bool:
    causes = _object(status.get("details")).get("causes")
    return isinstance(causes, list) and any(
        _object(cause).get("reason") == reason for cause in causes
    )


def _seconds(text: str) -> float:
    """Retry-After in seconds; no API server sends the form with a date."""
    return min(float(text), _MAX_RETRY_AFTER_SECONDS) if text.isdecimal() else 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
