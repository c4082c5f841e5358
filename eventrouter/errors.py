"""Every error that crosses a module border.

Errors of foreign libraries are mapped to these once, at the edge that calls the library.
"""

from __future__ import annotations

from typing import Literal

# Why a request to the API server failed. A closed set, since it is also a metric's label.
ApiReason = Literal[
    "unreachable", "timeout", "tls",
    "unauthorized", "credentials", "forbidden",
    "not_found", "conflict", "expired", "ahead_of_server", "refused",
    "throttled", "server_error",
    "bad_line", "bad_list", "page_too_large", "watch_error", "empty_watch",
    "stopping",
]  # fmt: skip
# Why a connection to the sidecar was given up, and why its buffer cannot be seen, likewise.
ForwardReason = Literal["io", "closed", "ack_timeout", "ack_mismatch"]
BufferReason = Literal["io", "missing"]


class EventrouterError(Exception):
    """The root of the project's own errors."""


class ConfigError(EventrouterError):
    """A setting is wrong. The message names the setting and says what to do about it."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting


class ApiError(EventrouterError):
    """The API server refused, failed or could not be reached; trying again may help.

    `status` is the HTTP status, 0 without one. `retry_after` is the least wait in seconds that the
    server asked for, 0 when it asked for none.
    """

    def __init__(
        self, message: str, *, reason: ApiReason, status: int = 0, retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


class ResourceExpired(ApiError):
    """The API server has compacted the revision that was asked for (410).

    `continue_token` is the server's offer to continue a list at a newer revision after the list's
    own token expired; None if the server offered none.
    """

    def __init__(self, message: str, *, continue_token: str | None = None) -> None:
        super().__init__(message, reason="expired", status=410)
        self.continue_token = continue_token


class ResourceVersionTooLarge(ApiError):
    """The revision that was asked for is newer than the API server's own.

    A 504 with this cause. The server's history went back: etcd was restored, or this is another
    cluster.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="ahead_of_server", status=504)


class PageTooLarge(ApiError):
    """A page of a list has more bytes than the caller wants to hold: ask for fewer events."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="page_too_large")


class BadLine(ApiError):
    """Bytes that cannot be read, such as a line of a watch that was cut or damaged on its way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="bad_line")


class ForwardError(EventrouterError):
    """The forward connection is of no more use: close it, connect again, send again."""

    reason: ForwardReason = "io"


class AckTimeout(ForwardError):
    """No ack came in time."""

    reason: ForwardReason = "ack_timeout"


class AckMismatch(ForwardError):
    """The receiver sent something other than the ack that is due."""

    reason: ForwardReason = "ack_mismatch"


class PeerClosed(ForwardError):
    """The receiver closed the connection, as Fluent Bit does when its disk is full."""

    reason: ForwardReason = "closed"


class BufferUnseen(EventrouterError):
    """The sidecar's buffer cannot be looked into, so nobody knows what it still holds."""

    def __init__(self, message: str, *, reason: BufferReason) -> None:
        super().__init__(message)
        self.reason = reason


class CheckpointError(EventrouterError):
    """The checkpoint could not be read or written; trying again may help."""


class Deposed(CheckpointError):
    """Another watcher leads: the checkpoint is its to write."""


class TargetError(EventrouterError):
    """Elasticsearch or OpenSearch refused one request of the setup or the check."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TargetUnknown(TargetError):
    """It does not know the path, as the other of the two servers does not."""


class TargetUnusable(TargetError):
    """It refuses or fails every request: it is away, not trusted, or does not know the login."""
