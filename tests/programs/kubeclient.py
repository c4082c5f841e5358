"""A small client of the events API, fast enough for load: plain dicts over kept connections."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import urllib3

Json = dict[str, Any]
# The two doors to the same stored object.
Group = Literal["core", "events"]

_PATHS: dict[Group, str] = {"core": "/api/v1", "events": "/apis/events.k8s.io/v1"}
_KINDS: dict[Group, str] = {"core": "v1", "events": "events.k8s.io/v1"}


class ApiRefused(Exception):
    """An answer other than the expected ones; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class KubeClient:
    """One user of one API server. Thread-safe; up to `connections` requests at a time."""

    def __init__(self, url: str, *, ca_file: Path, token: str, connections: int = 16) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            ca_certs=str(ca_file),
            headers={"Authorization": f"Bearer {token}", "User-Agent": "eventrouter-e2e"},
            timeout=urllib3.Timeout(connect=30, read=60),
            retries=False,
        )

    def reconnect(self) -> None:
        """Let go of the connections that are idle."""
        self._pool.clear()

    def request(
        self, method: str, path: str, body: Json | None = None, *, content_type: str = ""
    ) -> urllib3.BaseHTTPResponse:
        """One request, whatever the answer."""
        headers = dict(self._pool.headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = content_type or "application/json"
        return self._pool.request(method, f"{self._url}{path}", body=data, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        content_type: str = "",
        accept: Collection[int] = (200, 201, 202),
    ) -> Json:
        """One request and its decoded answer. Raises ApiRefused for any other status."""
        answer = self.request(method, path, body, content_type=content_type)
        if answer.status not in accept:
            text = answer.data[:500].decode(errors="replace")
            raise ApiRefused(f"{method} {path}: {answer.status} {text}", answer.status)
        decoded: Json = json.loads(answer.data)
        return decoded

    def token_of(self, account: str, *, namespace: str = "default", seconds: int = 3600) -> str:
        """A new token of a ServiceAccount, good for so long."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        answer = self.call("POST", path, {"spec": {"expirationSeconds": seconds}})
        return str(answer["status"]["token"])

    def create_event(self, event: Json, *, group: Group = "core") -> Json:
        """The state that the API server made of it, in the form of that group."""
        body = {**event, "kind": "Event", "apiVersion": _KINDS[group]}
        return self.call("POST", _events(group, event["metadata"]["namespace"]), body)

    def patch_event(self, namespace: str, name: str, patch: Json, *, group: Group = "core") -> Json:
        """A strategic merge patch, as client-go's recorders send for each repeat."""
        return self.call(
            "PATCH",
            f"{_events(group, namespace)}/{name}",
            patch,
            content_type="application/strategic-merge-patch+json",
        )

    def update_event(self, event: Json, *, group: Group = "core") -> Json:
        """Replace the whole object; it must be of the group's form."""
        body = {**event, "kind": "Event", "apiVersion": _KINDS[group]}
        metadata = event["metadata"]
        path = f"{_events(group, metadata['namespace'])}/{metadata['name']}"
        return self.call("PUT", path, body)

    def delete_event(self, namespace: str, name: str) -> None:
        """Delete it, as its expiry would."""
        self.call("DELETE", f"{_events('core', namespace)}/{name}")

    def events(self, *, group: Group = "core", page_size: int = 500) -> Iterator[Json]:
        """Every event of the cluster, in the form of that group, in pages."""
        token = ""
        while True:
            query = f"limit={page_size}" + (f"&continue={token}" if token else "")
            page = self.call("GET", f"{_PATHS[group]}/events?{query}")
            yield from page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def newest_revision(self) -> int:
        """The revision a list would be of now: a watch from it brings all that comes later."""
        page = self.call("GET", "/api/v1/events?limit=1")
        return int(page["metadata"]["resourceVersion"])

    @contextmanager
    def watch_events(self) -> Iterator[Iterator[Json]]:
        """The events that change from now on, as core/v1."""
        path = f"/api/v1/events?watch=1&resourceVersion={self.newest_revision()}"
        answer = self._pool.request("GET", f"{self._url}{path}", preload_content=False)
        try:
            yield (json.loads(line)["object"] for line in answer)
        finally:
            answer.close()


def _events(group: Group, namespace: str) -> str:
    return f"{_PATHS[group]}/namespaces/{namespace}/events"
