"""The connection pool for the API server."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import weakref
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


def connect(endpoint: Endpoint) -> urllib3.PoolManager:
    """The pool that the `kubernetes` package makes, with keepalives. It connects on demand."""
    files = {option: _file_of(content) for option, content in endpoint.contents.items()}
    options: dict[str, Any] = {
        **endpoint.options,
        **{option: path for option, (_, path) in files.items()},
        "socket_options": [
            *urllib3.connection.HTTPConnection.default_socket_options,
            *_KEEPALIVE,
        ],
    }
    pool = tls.relaxed(_pool(endpoint.proxy, options))
    for file, _ in files.values():
        weakref.finalize(pool, file.close)  # until then each new connection reads the file
    return pool


def _pool(proxy: str | None, options: dict[str, Any]) -> urllib3.PoolManager:
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
