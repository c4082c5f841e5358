"""The API server: sends requests, gives raw answers, maps what can go wrong to errors of ours."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlencode

import urllib3

from eventrouter import __version__
from eventrouter.errors import ApiError, ConfigError, EventrouterError
from eventrouter.kube.credentials import Access, Credentials
from eventrouter.kube.parsing import parse_object
from eventrouter.kube.pool import Pool
from eventrouter.kube.status import answer_error

CONNECT_SECONDS = 10.0
_MAX_STATUS_BYTES = 1024 * 1024


class KubeApi:
    """A connection pool to the API server. Thread-safe."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._credentials = credentials
        self.answered = answered
        self._pool = Pool(credentials.current().endpoint)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._pool.endpoint.server

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        accept: str = "application/json",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a request, its body unread. Raises ApiError unless it is a 200 or 201.

        Only such an answer counts as `answered`.
        """
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        response = self._send(method, path, query or {}, body, accept, timeout)
        try:
            if response.status not in (200, 201):
                raise _status_error(response, path)
            self.answered()
            with mapped_errors(self.server):
                yield response
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        accept: str,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        """Send it; once more, with all credentials read anew, after a 401 or a TLS error."""
        target = path + (f"?{urlencode(query)}" if query else "")
        access = self._credentials.current()
        try:
            response = self._send_once(access, method, target, body, accept, timeout)
            if response.status != 401:
                return response
            response.close()
        except ApiError as error:
            if error.reason != "tls":
                raise
        try:
            self._credentials.renew(access)
        except ConfigError as error:
            raise ApiError(str(error), reason="credentials") from error
        return self._send_once(self._credentials.current(), method, target, body, accept, timeout)

    def _send_once(
        self,
        access: Access,
        method: str,
        target: str,
        body: bytes | None,
        accept: str,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        pool = self._pool
        if access.endpoint is not pool.endpoint:
            pool = self._pool = Pool(access.endpoint)
        with mapped_errors(pool.endpoint.server):
            return pool.request(
                method, target, body=body, headers=_headers(access, accept), timeout=timeout
            )


def _headers(access: Access, accept: str) -> dict[str, str]:
    headers = {
        "Accept": accept,
        "Content-Type": "application/json",
        "User-Agent": f"eventrouter/{__version__}",
    }
    if access.authorization:
        headers["Authorization"] = access.authorization
    return headers


@contextlib.contextmanager
def mapped_errors(server: str) -> Iterator[None]:
    """Map urllib3's and the system's errors to ApiError."""
    try:
        yield
    except EventrouterError:
        raise
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
        raise ApiError(f"{server} has gone silent", reason="timeout") from error
    except urllib3.exceptions.SSLError as error:
        # An end without a word of TLS is that of a server that is away behind something.
        ends = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
        is_end = any(isinstance(cause, ends) for cause in error.args)
        raise ApiError(
            f"TLS with {server} failed: {_one_line(error)}",
            reason="unreachable" if is_end else "tls",
        ) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        cause = error.args[-1] if error.args else None
        if isinstance(cause, (FileNotFoundError, PermissionError)):
            # The client certificate's; by now the kubeconfig may name another.
            raise ApiError(
                f"TLS with {server} failed: the client certificate: {cause}", reason="tls"
            ) from error
        raise ApiError(
            f"cannot reach {server}: {_one_line(error)}", reason="unreachable"
        ) from error


def _status_error(response: urllib3.BaseHTTPResponse, path: str) -> ApiError:
    """The error that an answer other than 200 or 201 stands for."""
    try:
        status = parse_object(response.read(amt=_MAX_STATUS_BYTES))
    except (ApiError, urllib3.exceptions.HTTPError, OSError):
        status = {}
    return answer_error(
        status,
        code=response.status,
        phrase=response.reason,
        path=path,
        retry_after=response.headers.get("Retry-After"),
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
