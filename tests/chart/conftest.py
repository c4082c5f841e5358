"""The real cluster that tests of the chart share."""

from __future__ import annotations

import pytest

from tests.e2e.parts import ApiServer, Etcd, find

NAMESPACES = ("logging", "observability", "team-a", "team-b")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A real kube-apiserver with namespaces that take restricted pods only."""
    parts = [find(name) for name in ("etcd", "kube-apiserver", "openssl")]
    missing = [f"{part.name}: {part.remedy}" for part in parts if not part.path]
    if missing:
        pytest.skip(f"REAL PARTS MISSING: {'; '.join(missing)}")
    etcd, apiserver, openssl = (part.path for part in parts)
    assert etcd
    assert apiserver
    assert openssl
    folder = tmp_path_factory.mktemp("cluster")
    with (
        Etcd(folder / "etcd", binary=etcd) as store,
        ApiServer(folder / "apiserver", binary=apiserver, etcd=store, openssl=openssl) as server,
    ):
        for name in NAMESPACES:
            body = {"metadata": {"name": name, "labels": RESTRICTED}}
            server.client.call("POST", "/api/v1/namespaces", body)
            # A controller's work.
            accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
            server.client.call("POST", accounts, {"metadata": {"name": "default"}})
        priority = {"metadata": {"name": "high"}, "value": 1000}
        server.client.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", priority)
        yield server
