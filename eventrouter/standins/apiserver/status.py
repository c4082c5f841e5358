"""The API server's refusals: Status objects with its own messages."""

from __future__ import annotations

from typing import Any

from eventrouter.standins.apiserver.encoding import encode

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}

# k8s.io/apiserver, pkg/storage/etcd3/errors.go
EXPIRED_LIST = "The resourceVersion for the provided list is too old."
EXPIRED_WATCH = "The resourceVersion for the provided watch is too old."
EXPIRED_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start"
    " a new list without the continue parameter, or use the continue token in this response to"
    " retrieve the remainder of the results. Continuing with the provided token results in an"
    " inconsistent list - objects that were created, modified, or deleted between the time the"
    " first chunk was returned and now may show up in the list."
)


class Refusal(Exception):
    """Refuses a request by a Status: in an HTTP response, or in an ERROR line of a watch."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata or {},
            "status": "Failure",
            "message": message,
            "reason": reason or _REASONS.get(code, "Unknown"),
            **({"details": details} if details else {}),
            "code": code,
        }

    @property
    def line(self) -> bytes:
        """The Status as an ERROR line of a watch."""
        return encode({"type": "ERROR", "object": self.body}) + b"\n"

    @classmethod
    def bad_request(cls, message: str) -> Refusal:
        return cls(400, message)

    @classmethod
    def unauthorized(cls) -> Refusal:
        return cls(401, "Unauthorized")

    @classmethod
    def forbidden(cls, *, user: str, verb: str, namespace: str | None) -> Refusal:
        # k8s.io/apiserver, pkg/endpoints/handlers/responsewriters/errors.go, forbiddenMessage
        where = "at the cluster scope" if namespace is None else f'in the namespace "{namespace}"'
        message = (
            f'events is forbidden: User "{user}" cannot {verb} resource "events"'
            f' in API group "" {where}'
        )
        return cls(403, message, details={"kind": "events"})

    @classmethod
    def not_found(cls) -> Refusal:
        return cls(404, "the server could not find the requested resource", details={})

    @classmethod
    def expired(cls, message: str, *, continue_token: str | None = None) -> Refusal:
        return cls(410, message, metadata={"continue": continue_token} if continue_token else None)

    @classmethod
    def invalid_option(cls, option: str, problem: str) -> Refusal:
        message = f"Forbidden: {problem}"
        cause = {"reason": "FieldValueForbidden", "message": message, "field": option}
        return cls(
            422,
            f'ListOptions.meta.k8s.io "" is invalid: {option}: {message}',
            details={"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]},
        )

    @classmethod
    def too_large(cls, asked: int, *, current: int) -> Refusal:
        # k8s.io/apiserver, pkg/storage/errors.go, NewTooLargeResourceVersionError
        problem = "Too large resource version"
        return cls(
            504,
            f"Timeout: {problem}: {asked}, current: {current}",
            details={"causes": [{"reason": "ResourceVersionTooLarge", "message": problem}]},
        )
