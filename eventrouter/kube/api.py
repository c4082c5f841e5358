"""The API server: sends requests, gives raw answers, maps what can go wrong to errors of ours.

The only importer of `kubernetes`. Its public interface gives configuration, authentication, TLS
and the connection pool; its models and its Watch are left alone (docs/architecture.md says why).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import urllib3
from kubernetes import client, config
from kubernetes.client.rest import RESTClientObject

from eventrouter import __version__
from eventrouter.config import in_cluster
from eventrouter.errors import ApiError, ConfigError, EventrouterError
from eventrouter.kube.parsing import parse_object
from eventrouter.kube.status import answer_error

CONNECT_SECONDS = 10.0
_MAX_STATUS_BYTES = 1024 * 1024

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


def load_configuration(kubeconfig: str | None) -> client.Configuration:
    """How to reach the API server: the kubeconfig given, else the pod's service account, else
    KUBECONFIG or ~/.kube/config. Raises ConfigError."""
    configuration = client.Configuration()
    try:
        if kubeconfig is None and in_cluster(os.environ):
            config.load_incluster_config(client_configuration=configuration)
        else:
            if kubeconfig is not None:
                Path(kubeconfig).read_bytes()  # says why it cannot be read; the loader does not
            config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except Exception as error:  # the loaders raise what YAML, files and plugins raise
        where = kubeconfig or (
            "the service account" if in_cluster(os.environ) else "KUBECONFIG, ~/.kube/config"
        )
        raise ConfigError("--kubeconfig", f"cannot use {where}: {_one_line(error)}") from error
    if not _is_server(str(configuration.host)):
        raise ConfigError("--kubeconfig", f"{configuration.host!r} is no server's URL")
    configuration.retries = False
    configuration.socket_options = [
        *urllib3.connection.HTTPConnection.default_socket_options,
        *_KEEPALIVE,
    ]
    return configuration


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


class KubeApi:
    """A connection pool to the API server. Thread-safe."""

    def __init__(
        self,
        *,
        load: Callable[[], client.Configuration],
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._load = load
        self.answered = answered
        self._connect()

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host).rstrip("/")

    def scope(self, field_selector: str | None) -> str:
        """A hash of what a resourceVersion is valid for: the server's URL and CA, the selector."""
        path = self._configuration.ssl_ca_cert
        try:
            ca = Path(path).read_bytes() if path else b""
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
        """The answer to a request, its body unread. Raises ApiError unless it is a 200 or 201.

        Only such an answer counts as `answered`.
        """
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        response = self._send(method, path, query or {}, body, timeout)
        try:
            if response.status not in (200, 201):
                raise _status_error(response, path)
            self.answered()
            with mapped_errors(self.server):
                yield response
        finally:
            response.close()

    def _connect(self) -> None:
        """Read the configuration and the CA anew, and connect by them."""
        self._configuration = self._load()
        self._pool = RESTClientObject(self._configuration).pool_manager

    def _headers(self) -> dict[str, str]:
        """Built for every request: that is what re-reads a rotated token."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"eventrouter/{__version__}",
        }
        setting = self._configuration.auth_settings().get("BearerToken")
        if setting and setting["value"]:
            headers["Authorization"] = setting["value"].strip()
        elif self._configuration.username:
            headers["Authorization"] = self._configuration.get_basic_auth_token()
        return headers

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        """Send it; once more, with all credentials read anew, after a 401 or a TLS error."""
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        for is_last in (False, True):
            try:
                with mapped_errors(self.server):
                    response: urllib3.BaseHTTPResponse = self._pool.request(
                        method,
                        url,
                        body=body,
                        headers=self._headers(),
                        timeout=timeout,
                        preload_content=False,
                        retries=False,
                    )
            except ApiError as error:
                if is_last or error.reason != "tls":
                    raise
            else:
                if is_last or response.status != 401:
                    return response
                response.close()
            try:
                self._connect()
            except ConfigError as error:
                raise ApiError(str(error), reason="credentials") from error
        raise AssertionError("unreachable")


@contextlib.contextmanager
def mapped_errors(server: str) -> Iterator[None]:
    """Map urllib3's and the system's errors to ApiError."""
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
