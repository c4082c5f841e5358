"""A second API server of the same cluster."""

from __future__ import annotations

from pathlib import Path

from tests.programs import ApiServer, Etcd, KubeClient


class TwinApiServer(ApiServer):
    """On the same etcd, with the same keys and tokens: clients cannot tell it from the first."""

    def __init__(
        self, directory: Path, first: ApiServer, *, binary: Path, etcd: Etcd, openssl: Path
    ) -> None:
        super().__init__(directory, binary=binary, etcd=etcd, openssl=openssl)
        self.ca_file = first.ca_file
        self._keys = first._keys
        self._tokens = first._tokens
        self._token = first._token
        self.client = KubeClient(self.url, ca_file=first.ca_file, token=first._token)
