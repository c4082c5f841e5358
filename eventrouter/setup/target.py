"""The connection to Elasticsearch or OpenSearch: requests, and errors that say what to do."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from eventrouter import tls
from eventrouter.clock import Backoff, Clock, Stop
from eventrouter.errors import TargetError, TargetUnknown, TargetUnusable

log = logging.getLogger(__name__)

Json = dict[str, Any]

_REQUEST_SECONDS = 10.0
# The server is there and has no time, or a proxy has no server.
_AWAY = {429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Login:
    """A ready `Authorization` header; empty for no login. Never shown.

    `prefix` is that of the variables it comes from, for a message.
    """

    header: str = ""
    prefix: str = "EVENTROUTER_SETUP_"

    def __repr__(self) -> str:
        return f"Login({'given' if self.header else 'none'})"


class _Away(Exception):
    """No answer, or one that says to come back. Its text is the reason."""


class Target:
    """The server at `url`. While it is away, requests are tried again for `wait_seconds` in all.

    With 0 each request is tried once.
    """

    def __init__(
        self,
        url: str,
        *,
        login: Login,
        ca_file: str | None,
        wait_seconds: float,
        clock: Clock,
        stop: Stop,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if login.header:
            self._headers["Authorization"] = login.header
        self._login = login
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._stop = stop
        self._deadline = clock.monotonic() + wait_seconds
        self._pool = tls.relaxed(urllib3.PoolManager(ca_certs=ca_file, retries=False))

    def get(self, path: str, *, privilege: str) -> Json | None:
        """The object at `path`, None if there is none. Raises TargetError.

        `privilege` is named if the login lacks it.
        """
        status, answer = self._ask("GET", path, None)
        if status == 404 and answer:
            return None
        return self._checked("GET", path, status, answer, privilege)

    def post(self, path: str, body: Mapping[str, Any] | None, *, privilege: str) -> Json:
        """The answer to a question, most of which have a body. Raises TargetError."""
        status, answer = self._ask(
            "POST", path, None if body is None else json.dumps(body).encode()
        )
        return self._checked("POST", path, status, answer, privilege)

    def put(self, path: str, body: Mapping[str, Any], *, privilege: str) -> Json:
        """Write the object at `path`. Raises TargetError."""
        status, answer = self._ask("PUT", path, json.dumps(body).encode())
        return self._checked("PUT", path, status, answer, privilege)

    def delete(self, path: str, *, privilege: str) -> None:
        """Delete what is at `path`, if anything is. Raises TargetError.

        Tried once: if only the answer was lost, another has been made since, and must stay.
        """
        status, answer = self._ask("DELETE", path, None, is_tried_again=False)
        if status != 404 or not answer:
            self._checked("DELETE", path, status, answer, privilege)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        is_tried_again: bool = True,
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Waits while the server is away, if it may try again.

        Raises TargetUnusable.
        """
        backoff = Backoff(first=0.5, cap=5.0)
        is_told = False
        while True:
            try:
                return self._once(method, path, body, headers)
            except _Away as error:
                left = self._deadline - self._clock.monotonic()
                if not is_tried_again:
                    raise TargetUnusable(
                        f"{self.url} did not answer {method} {path}: {error}"
                    ) from error
                if left <= 0 or self._stop.is_set():
                    tried = f" for {self._wait_seconds:g} s" if self._wait_seconds else ""
                    raise TargetUnusable(f"{self.url} did not answer{tried}: {error}") from error
                if not is_told:
                    log.warning("Waiting for %s: %s", self.url, error)
                    is_told = True
                self._stop.wait(min(backoff.next(), left))

    def _ask(
        self, method: str, path: str, body: bytes | None, *, is_tried_again: bool = True
    ) -> tuple[int, Json]:
        """Status and answer, an empty one if it is no JSON."""
        headers = {"Content-Type": "application/json"} if body else {}
        status, data = self.send(method, path, body, headers, is_tried_again=is_tried_again)
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        return status, answer if isinstance(answer, dict) else {}

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        seconds = _REQUEST_SECONDS
        if self._wait_seconds:
            left = self._deadline - self._clock.monotonic()
            seconds = max(1.0, min(seconds, left))
        try:
            response = self._pool.request(
                method,
                self.url + path,
                body=body,
                headers={**self._headers, **headers},
                timeout=urllib3.Timeout(total=seconds),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._problem(error) from error
        if response.status in _AWAY:
            raise _Away(f"it answers {response.status}")
        return response.status, response.data

    def _problem(self, error: Exception) -> Exception:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return TargetUnusable(
                    f"{self.url}: its certificate is not trusted: {cause.verify_message};"
                    " name the CA that signed it with --ca-file"
                )
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
                return TargetUnusable(f"{self.url}: no TLS connection: {cause}; is it plain HTTP?")
            if isinstance(cause, OSError):
                return _Away(cause.strerror or str(cause))
            inner = cause.args[-1] if cause.args else None
            cause = inner if isinstance(inner, Exception) else cause.__cause__ or cause.__context__
        return _Away(str(error))

    def check_login(self, status: int, privilege: str) -> None:
        """Raise TargetError if the status says that the login is refused or lacks the privilege."""
        if status == 401:
            prefix = self._login.prefix
            hint = f"check {prefix}USER and {prefix}PASSWORD, or {prefix}API_KEY"
            what = (
                "refuses the login" if self._login.header else "wants a login, and none was given"
            )
            raise TargetUnusable(f"{self.url} {what} (401): {hint}", status=status)
        if status == 403:
            raise TargetError(f"the login lacks {privilege} (403)", status=status)

    def _checked(self, method: str, path: str, status: int, answer: Json, privilege: str) -> Json:
        if status == 403 and not answer:
            raise TargetUnusable(
                f"{method} {path} answers 403, without JSON: something in front of {self.url}"
                " refuses it",
                status=status,
            )
        self.check_login(status, privilege)
        if 200 <= status < 300 and answer:
            return answer
        reason = _reason(answer)
        if "no handler found" in reason:
            raise TargetUnknown(
                f"the server has no {path.rpartition('/')[0]} ({status}):"
                " --elasticsearch and --opensearch choose between the two servers",
                status=status,
            )
        if not answer:
            raise TargetUnusable(
                f"{self.url} is neither Elasticsearch nor OpenSearch:"
                f" {method} {path} answers {status}, without JSON",
                status=status,
            )
        raise TargetError(f"{method} {path} answers {status}: {reason}", status=status)


def _reason(answer: Json) -> str:
    """The server's own words, in one line."""
    error = answer.get("error")
    if isinstance(error, dict):
        error = error.get("reason") or error.get("type")
    return " ".join(str(error or answer)[:500].split())
