"""The API server: lists and watches events, raw, and maps what can go wrong to errors of ours.

The only importer of `kubernetes`. Its public interface gives configuration, authentication, TLS
and the connection pool; its models and its Watch are left alone (docs/architecture.md says why).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.rest import RESTClientObject

from eventrouter import __version__
from eventrouter.capture import parse_list
from eventrouter.errors import AheadOfServer, ApiError, ConfigError, Expired
from eventrouter.metrics import Metrics
from eventrouter.lister import Page

_CONNECT_SECONDS = 10.0
_LIST_SECONDS = 60.0
# How far the read timeout of a watch lies above the server's own end of it.
_WATCH_GRACE_SECONDS = 15.0
# A refused token may just have been rotated; more than a minute's wait is not worth obeying.
_MAX_RETRY_AFTER = 60.0
# Far above the 1.5 MiB that etcd takes: a line this long is no event.
_MAX_LINE_BYTES = 64 * 1024 * 1024

# A dead peer is noticed within 40 s, unless something on the way answers keepalives for it.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (
            ("TCP_KEEPIDLE", 20),
            ("TCP_KEEPINTVL", 5),
            ("TCP_KEEPCNT", 4),
            ("TCP_USER_TIMEOUT", 30_000),
        )
        if hasattr(socket, name)  # Linux has all of them
    ),
]


def in_cluster() -> bool:
    """Whether this runs in a pod: the kubelet sets these for each."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def load_configuration(kubeconfig: str | None) -> client.Configuration:
    """How to reach the API server: the kubeconfig given, else the pod's service account, else
    KUBECONFIG or ~/.kube/config. Raises ConfigError."""
    configuration = client.Configuration()
    try:
        if kubeconfig is None and in_cluster():
            config.load_incluster_config(client_configuration=configuration)
        else:
            if kubeconfig is not None:
                Path(kubeconfig).read_bytes()  # says why it cannot be read; the loader does not
            config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except Exception as error:  # the loaders raise what YAML, files and plugins raise
        where = kubeconfig or (
            "the service account" if in_cluster() else "KUBECONFIG, ~/.kube/config"
        )
        raise ConfigError("--kubeconfig", f"cannot use {where}: {_one_line(error)}") from error
    configuration.retries = False
    configuration.socket_options = [
        *urllib3.connection.HTTPConnection.default_socket_options,
        *_KEEPALIVE,
    ]
    return configuration


class KubeEvents:
    """Events of the API server, for any number of reflectors. Thread-safe."""

    def __init__(
        self,
        *,
        load: Callable[[], client.Configuration],
        field_selector: str | None,
        metrics: Metrics,
        clock_time: Callable[[], float],
    ) -> None:
        self._load = load
        self._field_selector = field_selector
        self._metrics = metrics
        self._time = clock_time
        self._lock = threading.Lock()
        self._open: set[urllib3.BaseHTTPResponse] = set()
        self._closed = False
        self._connect()

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host).rstrip("/")

    def scope(self) -> str:
        """A hash of what a position is valid for: the server's URL and CA, and the selector."""
        ca = self._configuration.ssl_ca_cert
        digest = hashlib.sha256()
        for part in (self.server, Path(ca).read_text() if ca else "", self._field_selector or ""):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()[:32]

    def page(
        self,
        namespace: str,
        *,
        limit: int,
        resource_version: str | None = None,
        continue_token: str | None = None,
        selected: bool = True,
    ) -> Page:
        """One page of the list of events; of exactly `resource_version` if one is given."""
        query: dict[str, Any] = {"limit": limit}
        if resource_version is not None:
            query |= {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        if continue_token is not None:
            query["continue"] = continue_token
        with (
            self._get(namespace, query, selected=selected, read_seconds=_LIST_SECONDS) as response,
            _mapped_errors(self.server),
        ):
            body = response.read()
        self._metrics.lists.labels("ok").inc()
        page = parse_list(body)
        metadata = page.get("metadata") or {}
        version = metadata.get("resourceVersion")
        if not isinstance(version, str) or not version.isdecimal():
            raise ApiError(f"{self.server} answered with no list of events", reason="bad_list")
        return Page(
            items=[item for item in page.get("items") or () if isinstance(item, dict)],
            resource_version=version,
            continue_token=metadata.get("continue") or None,
        )

    @contextlib.contextmanager
    def watch(
        self, namespace: str, *, resource_version: str, timeout_seconds: int
    ) -> Iterator[Iterator[list[bytes]]]:
        """The lines of a watch, as many at a time as arrived together."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": timeout_seconds,
        }
        read_seconds = timeout_seconds + _WATCH_GRACE_SECONDS
        with self._get(namespace, query, selected=True, read_seconds=read_seconds) as response:
            yield self._lines(response)

    def close(self) -> None:
        """End all that is open and refuse what comes. Wakes threads that wait for a line."""
        with self._lock:
            self._closed = True
            responses = list(self._open)
        for response in responses:
            with contextlib.suppress(Exception):  # it may have ended by itself just now
                response.shutdown()

    def _connect(self) -> None:
        """Read the configuration and the CA anew, and connect by them."""
        self._configuration = self._load()
        self._pool = RESTClientObject(self._configuration).pool_manager

    def _headers(self) -> dict[str, str]:
        """Built for every request: that is what re-reads a rotated token."""
        headers = {"Accept": "application/json", "User-Agent": f"eventrouter/{__version__}"}
        with _mapped_errors(self.server):
            setting = self._configuration.auth_settings().get("BearerToken")
        if setting and setting["value"]:
            headers["Authorization"] = setting["value"].strip()
        elif self._configuration.username:
            headers["Authorization"] = self._configuration.get_basic_auth_token()
        return headers

    @contextlib.contextmanager
    def _get(
        self, namespace: str, query: dict[str, Any], *, selected: bool, read_seconds: float
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        if selected and self._field_selector:
            query["fieldSelector"] = self._field_selector
        path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds)
        response = self._request(path, query, timeout)
        with self._lock:
            self._open.add(response)
        try:
            if self._closed:
                raise ApiError("stopping", reason="stopping")
            if response.status != 200:
                error = _status_error(response, path)
                self._metrics.lists.labels(error.reason).inc()
                raise error
            yield response
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def _request(
        self, path: str, query: dict[str, Any], timeout: urllib3.Timeout
    ) -> urllib3.BaseHTTPResponse:
        """Send it; once more, with all credentials read anew, after a 401 or a TLS error."""
        for is_last in (False, True):
            try:
                with _mapped_errors(self.server):
                    response: urllib3.BaseHTTPResponse = self._pool.request(
                        "GET",
                        self.server + path,
                        fields=query,
                        headers=self._headers(),
                        timeout=timeout,
                        preload_content=False,
                        retries=False,
                    )
            except ApiError as error:
                if is_last or error.reason != "tls":
                    raise
            else:
                self._metrics.last_contact.set(self._time())
                if is_last or response.status != 401:
                    return response
                response.close()
            try:
                self._connect()
            except ConfigError as error:
                raise ApiError(str(error), reason="credentials") from error
        raise AssertionError("unreachable")

    def _lines(self, response: urllib3.BaseHTTPResponse) -> Iterator[list[bytes]]:
        """Complete lines. A last one without its end was cut off, and will come again."""
        rest: list[bytes] = []
        size = 0
        with _mapped_errors(self.server):
            for piece in response.stream(amt=None, decode_content=False):
                self._metrics.last_contact.set(self._time())
                if b"\n" not in piece:
                    rest.append(piece)
                    size += len(piece)
                    if size > _MAX_LINE_BYTES:
                        raise ApiError("the watch sent a line without end", reason="bad_line")
                    continue
                lines = b"".join((*rest, piece)).split(b"\n")
                tail = lines.pop()
                rest = [tail] if tail else []
                size = len(tail)
                yield [line for line in lines if line]


@contextlib.contextmanager
def _mapped_errors(server: str) -> Iterator[None]:
    try:
        yield
    except ApiError:
        raise
    except urllib3.exceptions.ReadTimeoutError as error:
        raise ApiError(f"{server} has gone silent", reason="timeout") from error
    except (urllib3.exceptions.SSLError, ValueError) as error:
        # ValueError: what ssl raises for a certificate file that is none
        raise ApiError(f"TLS with {server} failed: {_one_line(error)}", reason="tls") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiError(
            f"cannot reach {server}: {_one_line(error)}", reason="unreachable"
        ) from error


def _status_error(response: urllib3.BaseHTTPResponse, path: str) -> ApiError:
    """The error of an answer that is not 200, with the Status that Kubernetes sends along."""
    try:
        status = parse_list(response.read(amt=1024 * 1024))
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
        403: ("; grant it `list` and `watch` on `events`", "forbidden"),
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
