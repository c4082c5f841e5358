"""Every error that crosses a module border.

Errors of foreign libraries are mapped to these once, at the edge that calls the library.
"""

from __future__ import annotations


class EventrouterError(Exception):
    """The root of the project's own errors."""


class ConfigError(EventrouterError):
    """A setting is wrong. The message names the setting and says what to do about it."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting


class ApiError(EventrouterError):
    """The API server refused, failed or could not be reached; trying again may help.

    `reason` is from a closed set, fit for a metric's label. `retry_after` is the least wait
    in seconds that the server asked for, 0 when it asked for none.
    """

    def __init__(
        self, message: str, *, reason: str, status: int = 0, retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


class Expired(ApiError):
    """The API server has compacted the revision that was asked for (410).

    `continue_token` is what a list may go on with, at a newer revision, after its own token
    expired; None where the server offered none.
    """

    def __init__(self, message: str, *, continue_token: str | None = None) -> None:
        super().__init__(message, reason="expired", status=410)
        self.continue_token = continue_token


class AheadOfServer(ApiError):
    """The revision that was asked for is newer than the API server's own.

    A 504 with the cause ResourceVersionTooLarge. Its history went back: etcd was restored, or this
    is another cluster.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="ahead_of_server", status=504)


class BadLine(ApiError):
    """A line of a watch that is no watch event: cut or damaged on its way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="bad_line")


class ForwardError(EventrouterError):
    """The forward connection is of no more use: close it, connect again, send again."""

    reason = "io"


class AckTimeout(ForwardError):
    """No ack came in time."""

    reason = "ack_timeout"


class AckMismatch(ForwardError):
    """Something else came than the ack that is due: acks come in the order of the chunks."""

    reason = "ack_mismatch"


class PeerClosed(ForwardError):
    """The receiver closed the connection.

    Fluent Bit does so when its input is paused or its disk is full.
    """

    reason = "closed"


class CheckpointError(EventrouterError):
    """The checkpoint could not be read or written just now."""


class Deposed(CheckpointError):
    """We lead no longer: the checkpoint is another's to write."""


class TargetError(EventrouterError):
    """Elasticsearch or OpenSearch refused one request of the setup."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TargetUnusable(TargetError):
    """It refuses or fails every request: it is away, not trusted, or does not know the login."""
