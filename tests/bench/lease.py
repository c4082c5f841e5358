"""The stand-in API server with a Lease and pods, so that the pair can run as in a cluster."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from eventrouter.standins.apiserver.encoding import decode, encode
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.status import Refusal
from eventrouter.standins.apiserver.store import EventStore
from tests.bench.replay import pod_metadata

_LEASES = re.compile(r"/apis/coordination\.k8s\.io/v1/namespaces/[^/]+/leases(/[^/]+)?")
_PODS = re.compile(r"/api/v1/namespaces/[^/]+/pods/([^/]+)")


class LeaseServer(ApiServer):
    """Has one Lease, whatever its name: read, created and replaced as in a cluster.

    Has the pods too that a Replay's events are about. A replacement of another version of the Lease
    than the present one is refused. `on_write` is called at each write that is not.
    """

    def __init__(self, store: EventStore, *, on_write: Callable[[], None] = lambda: None) -> None:
        self._on_write = on_write
        self._lease: dict[str, Any] | None = None
        self._version = 0
        self._writing = threading.Lock()
        super().__init__(store)

    def answer_other(self, request: Request) -> bytes:
        """The Lease as it is after the request, or a pod."""
        if (pod := _PODS.fullmatch(request.path)) and (metadata := pod_metadata(pod[1])):
            return encode({"kind": "PartialObjectMetadata", "metadata": metadata})
        if not _LEASES.fullmatch(request.path):
            raise Refusal.not_found()
        with self._writing:
            if request.method in ("POST", "PUT"):
                self._write(decode(request.body), creates=request.method == "POST")
            if self._lease is None:
                raise Refusal.not_found()
            return encode(self._lease)

    def _write(self, lease: dict[str, Any], *, creates: bool) -> None:
        if creates and self._lease is not None:
            raise Refusal(409, "the Lease already exists", reason="AlreadyExists")
        if not creates:
            if self._lease is None:
                raise Refusal.not_found()
            present = self._lease["metadata"]["resourceVersion"]
            if lease["metadata"].get("resourceVersion") not in ("", None, present):
                raise Refusal(409, "the object has been modified")
        self._version += 1
        lease["metadata"]["resourceVersion"] = str(self._version)
        self._lease = lease
        self._on_write()
