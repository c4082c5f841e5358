"""The connection pool for the API server, as the `kubernetes` package makes one."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import weakref
from collections.abc import Mapping
from typing import IO, Any

import urllib3

from eventrouter import tls
from eventrouter.kube.credentials import Endpoint

# The kernel notices a dead peer within 40 s, unless something on the way answers its keepalives.
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


class Pool:
    """The connections to one API server, with keepalives. They are made on demand. Thread-safe."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        files = {option: _file_of(content) for option, content in endpoint.contents.items()}
        options: dict[str, Any] = {
            **endpoint.options,
            **{option: path for option, (_, path) in files.items()},
            "socket_options": [
                *urllib3.connection.HTTPConnection.default_socket_options,
                *_KEEPALIVE,
            ],
        }
        # The manager knows proxies. All requests go to one server, so its pool does the rest: to
        # find that anew each time would be a fifth of a small request's cost.
        self._pool = tls.relaxed(_manager(endpoint.proxy, options)).connection_from_url(
            endpoint.server
        )
        for file, _ in files.values():
            weakref.finalize(self, file.close)  # until then each new connection reads the file
        server = urllib3.util.parse_url(endpoint.server)
        # A proxy takes the whole URL where it is not told to CONNECT (RFC 9112, section 3.2.2).
        takes_url = self._pool.proxy is not None and server.scheme == "http"
        self._prefix = endpoint.server if takes_url else server.path or ""

    def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        """The answer, whatever it says, its body unread. Raises urllib3's errors, or OSError."""
        return self._pool.urlopen(
            method,
            self._prefix + target,
            body=body,
            headers=headers,
            timeout=timeout,
            preload_content=False,
            retries=False,
            redirect=False,
            assert_same_host=False,
        )


def _manager(proxy: str | None, options: dict[str, Any]) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(**options)
    if proxy.lower().startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager  # it needs PySocks

        return SOCKSProxyManager(proxy, **options)
    return urllib3.ProxyManager(proxy, **options)


def _file_of(content: bytes) -> tuple[IO[bytes], str]:
    """A file with this content and its path, because `ssl` takes a key by path only.

    On Linux the file is in memory: no disk ever holds the key, and the root may be read-only.
    """
    file: IO[bytes]
    if sys.platform == "linux":
        file = os.fdopen(os.memfd_create("eventrouter"), "wb", buffering=0)
        path = f"/proc/self/fd/{file.fileno()}"
    else:
        file = tempfile.NamedTemporaryFile(buffering=0)  # noqa: SIM115, open as long as the pool
        path = file.name
    file.write(content)
    return file, path
