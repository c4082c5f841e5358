"""TLS that takes the certificates which Go, curl and Fluent Bit take."""

from __future__ import annotations

import ssl

from urllib3.util.ssl_ import create_urllib3_context


def context(*, ca_file: str | None, cert_reqs: int = ssl.CERT_REQUIRED) -> ssl.SSLContext:
    """For a pool of urllib3, which loads `ca_file` by itself; without one, the system's CAs.

    From Python 3.13 on, `ssl` refuses certificates without some extensions of RFC 5280 (its
    VERIFY_X509_STRICT). The CAs of clusters made before 2020 lack them, and those that
    Elasticsearch made for itself before 2025.
    """
    made = create_urllib3_context(cert_reqs=cert_reqs)
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file is None and cert_reqs != ssl.CERT_NONE:
        made.load_default_certs()
    return made
