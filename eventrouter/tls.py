"""TLS that takes the certificates which Go, curl and Fluent Bit take."""

from __future__ import annotations

import ssl
from typing import Any

import urllib3
from urllib3.util.ssl_ import create_urllib3_context


def relaxed(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """The manager, whose connections to https no longer insist on some extensions of RFC 5280.

    From Python 3.13 on, `ssl` refuses certificates without them (its VERIFY_X509_STRICT). The CAs
    of clusters made before 2020 lack them, and those that Elasticsearch made for itself before
    2025. All else is as urllib3 does it; an HTTPS proxy's own certificate too.
    """
    pool: Any = manager.pool_classes_by_scheme["https"]
    connection = type("RelaxedConnection", (_Relaxed, pool.ConnectionCls), {})
    pools = {"https": type("RelaxedPool", (pool,), {"ConnectionCls": connection})}
    manager.pool_classes_by_scheme = manager.pool_classes_by_scheme | pools
    return manager


class _Relaxed:
    """Mixed into a connection of urllib3."""

    ca_certs: str | None
    cert_reqs: int | None

    def connect(self) -> None:
        """With a context of its own, into which urllib3 loads the certificates as they are now.

        Threads must not share one meanwhile: OpenSSL is not made for that (cpython#134698).
        """
        cert_reqs = ssl.CERT_REQUIRED if self.cert_reqs is None else self.cert_reqs
        context = create_urllib3_context(cert_reqs=cert_reqs)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.ca_certs is None and cert_reqs != ssl.CERT_NONE:
            context.load_default_certs()
        self.ssl_context = context
        super().connect()  # type: ignore[misc]
