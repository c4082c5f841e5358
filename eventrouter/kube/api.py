"""The API server: sends requests, gives raw answers, maps what can go wrong to errors of ours."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import urllib3

from eventrouter import __version__
from eventrouter.errors import AheadOfServer, ApiError, ConfigError, EventrouterError, Expired
from eventrouter.kube.credentials import Access, Credentials, Endpoint
from eventrouter.kube.parsing import parse_object
from eventrouter.kube.pool import connect

CONNECT_SECONDS = 10.0
# A refused token may just have been rotated; more than a minute's wait is not worth obeying.
_MAX_RETRY_AFTER = 60.0


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
        self._connected = _connected(credentials.current().endpoint)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._connected[0].server

    def scope(self, field_selector: str | None) -> str:
        """A hash of what a resourceVersion is valid for: the server's URL and CA, the selector."""
        endpoint, _ = self._connected
        path = endpoint.options.get("ca_certs")
        try:
            ca = Path(str(path)).read_bytes() if path else endpoint.contents.get("ca_certs", b"")
        except OSError as error:
            raise ConfigError("--kubeconfig", f"cannot read its CA: {error}") from error
        parts = (self.server.encode(), ca, (field_selector or "").encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a request, its body unread. Raises ApiError unless it is a 200 or 201."""
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        response = self._send(method, path, query or {}, body, timeout)
        try:
            if response.status not in (200, 201):
                raise _status_error(response, path)
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
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        """Send it; once more, with all credentials read anew, after a 401 or a TLS error."""
        target = path + (f"?{urlencode(query)}" if query else "")
        access = self._credentials.current()
        try:
            response = self._send_once(access, method, target, body, timeout)
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
        return self._send_once(self._credentials.current(), method, target, body, timeout)

    def _send_once(
        self,
        access: Access,
        method: str,
        target: str,
        body: bytes | None,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        connected = self._connected
        if access.endpoint is not connected[0]:
            connected = self._connected = _connected(access.endpoint)
        endpoint, pool = connected
        with mapped_errors(endpoint.server):
            response: urllib3.BaseHTTPResponse = pool.request(
                method,
                endpoint.server + target,
                body=body,
                headers=_headers(access),
                timeout=timeout,
                preload_content=False,
                retries=False,
            )
        self.answered()
        return response


def _connected(endpoint: Endpoint) -> tuple[Endpoint, urllib3.PoolManager]:
    return endpoint, connect(endpoint)


def _headers(access: Access) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"eventrouter/{__version__}",
    }
    if access.authorization:
        headers["Authorization"] = access.authorization
    return headers


@contextlib.contextmanager
def mapped_errors(server: str) -> Iterator[None]:
    """Foreign errors as ours."""
    try:
        yield
    except EventrouterError:
        raise
    except urllib3.exceptions.ReadTimeoutError as error:
        raise ApiError(f"{server} has gone silent", reason="timeout") from error
    except urllib3.exceptions.SSLError as error:
        raise ApiError(f"TLS with {server} failed: {_one_line(error)}", reason="tls") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiError(
            f"cannot reach {server}: {_one_line(error)}", reason="unreachable"
        ) from error


def _status_error(response: urllib3.BaseHTTPResponse, path: str) -> ApiError:
    """The error of an answer that is not 200, with the Status that Kubernetes sends along."""
    try:
        status = parse_object(response.read(amt=1024 * 1024))
    except (ApiError, urllib3.exceptions.HTTPError, OSError):
        status = {}
    code = response.status
    message = str(status.get("message") or response.reason or "no reason given")
    details = status.get("details")
    causes = (details.get("causes") if isinstance(details, dict) else None) or []
    if code == 410:
        metadata = status.get("metadata")
        token = metadata.get("continue") if isinstance(metadata, dict) else None
        return Expired(message, continue_token=token or None)
    if code == 504 and any(
        isinstance(cause, dict) and cause.get("reason") == "ResourceVersionTooLarge"
        for cause in causes
    ):
        return AheadOfServer(message)
    hint, reason = {
        401: ("; the credentials are not accepted: see --kubeconfig", "unauthorized"),
        403: ("; is the role bound to it?", "forbidden"),
        409: ("", "conflict"),
        404: (f"; is there a Kubernetes API at {path}?", "not_found"),
        429: ("", "throttled"),
    }.get(code, ("", "server_error" if code >= 500 else "refused"))
    return ApiError(
        f"the API server answered {code}: {message}{hint}",
        reason=reason,
        status=code,
        retry_after=_retry_after(response),
    )


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """Seconds, as the API server gives them; the date form is not in use there."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), _MAX_RETRY_AFTER) if text.isdecimal() else 0.0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
