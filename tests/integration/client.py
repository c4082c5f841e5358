"""A client of the API server alone, with what is true of its last request."""

from __future__ import annotations

from pathlib import Path

from eventrouter.kube import credentials
from eventrouter.kube.api import KubeApi
from eventrouter.kube.credentials import Access, Credentials
from eventrouter.standins.apiserver.server import ApiServer
from tests.support.clock import FakeClock


class Client:
    """A connection with the credentials that a child found, and how many children there were."""

    def __init__(self, kubeconfig: Path | None) -> None:
        self.children = 0
        self.clock = FakeClock()
        self._kubeconfig = str(kubeconfig) if kubeconfig else None
        self.credentials = Credentials(self._read, clock=self.clock)
        self._api = KubeApi(credentials=self.credentials)

    def ask(self) -> None:
        """Ask for a page of events. Raises ApiError."""
        query = {"limit": "1"}
        with self._api.request("GET", "/api/v1/events", query=query, read_seconds=10) as answer:
            assert b'"EventList"' in answer.read()

    def _read(self) -> Access:
        self.children += 1
        return credentials.read(self._kubeconfig)


def port_of(server: ApiServer) -> int:
    return int(server.url.rpartition(":")[2])


def sent(server: ApiServer) -> str | None:
    """The header Authorization of the last request."""
    return server.requests[-1].headers.get("authorization")
