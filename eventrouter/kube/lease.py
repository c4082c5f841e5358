"""The Lease: who leads, and the checkpoint in its annotation, both in one object and one write.

That is what fences the checkpoint: every write names the resourceVersion that it changes, so the
write of a leader that has been deposed meanwhile is refused with a 409.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from eventrouter.errors import ApiError
from eventrouter.kube.api import KubeApi
from eventrouter.kube.parsing import parse_object

ANNOTATION = "eventrouter/checkpoint"

# As in client-go (tools/leaderelection), a lease runs for 15 s from its last renewal. client-go
# renews every 2 s and gives up after 10. Each renewal is a write to etcd, so ours renews less
# often, unless there is a checkpoint to write, and gives up after 12: it survives an API server
# that refuses all requests for 5 s, whenever that begins.
DURATION_SECONDS = 15
RENEW_SECONDS = 5.5
RENEW_DEADLINE_SECONDS = 12.0
# From one try to the next at least, be it for a checkpoint or after one that failed.
RETRY_SECONDS = 2.0
# A request that hangs must leave time for another before the deadline.
_REQUEST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as it was read or written. `holder` is empty when nobody holds it."""

    body: dict[str, Any]

    @property
    def holder(self) -> str:
        return str(self._spec.get("holderIdentity") or "")

    @property
    def is_blank(self) -> bool:
        """Whether nobody has ever held it: just created, by us or by the chart."""
        return not self._spec

    @property
    def duration_seconds(self) -> float:
        seconds = self._spec.get("leaseDurationSeconds")
        return float(seconds) if isinstance(seconds, int) else 0.0

    @property
    def renewed(self) -> object:
        """Changes with each renewal. Another machine's clock: to be compared, not computed with."""
        return (self.holder, self._spec.get("renewTime"), self._spec.get("acquireTime"))

    @property
    def checkpoint(self) -> bytes | None:
        annotations = self.body.get("metadata", {}).get("annotations") or {}
        text = annotations.get(ANNOTATION)
        return text.encode() if isinstance(text, str) else None

    def held_by(self, identity: str, *, now: float, checkpoint: bytes | None) -> LeaseRecord:
        """The same Lease, renewed or taken over by `identity` at `now` (seconds since 1970)."""
        spec = dict(self._spec)
        time = _micro_time(now)
        if self.holder != identity:
            spec["acquireTime"] = time
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {
            "holderIdentity": identity,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": time,
        }
        return self._with(spec, checkpoint)

    def released(self, *, now: float, checkpoint: bytes | None) -> LeaseRecord:
        """The same Lease, free for the next one at once."""
        spec = dict(self._spec) | {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": _micro_time(now),
        }
        return self._with(spec, checkpoint)

    @property
    def _spec(self) -> dict[str, Any]:
        spec = self.body.get("spec")
        return spec if isinstance(spec, dict) else {}

    def _with(self, spec: dict[str, Any], checkpoint: bytes | None) -> LeaseRecord:
        metadata = dict(self.body.get("metadata") or {})
        metadata.pop("managedFields", None)
        if checkpoint is not None:
            annotations = metadata.get("annotations") or {}
            metadata["annotations"] = annotations | {ANNOTATION: checkpoint.decode()}
        return LeaseRecord(self.body | {"metadata": metadata, "spec": spec})


class LeaseApi(Protocol):
    """The Lease in the API server. Both may raise ApiError; reason "conflict" is a lost race."""

    def read(self) -> LeaseRecord: ...
    def write(self, record: LeaseRecord) -> LeaseRecord: ...


class KubeLease:
    """One Lease by its name; `read` gives an empty one where there is none."""

    def __init__(self, *, api: KubeApi, namespace: str, name: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    def read(self) -> LeaseRecord:
        """The Lease as it is now."""
        try:
            return self._call("GET", f"{self._folder}/{self._name}")
        except ApiError as error:
            if error.status != 404:
                raise
            return LeaseRecord(
                {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self._name, "namespace": self._namespace},
                }
            )

    def write(self, record: LeaseRecord) -> LeaseRecord:
        """Replace the Lease that `record` was made from, or create it if there was none."""
        body = orjson.dumps(record.body)
        if "resourceVersion" not in record.body["metadata"]:
            return self._call("POST", self._folder, body)
        return self._call("PUT", f"{self._folder}/{self._name}", body)

    def _call(self, method: str, path: str, body: bytes | None = None) -> LeaseRecord:
        with self._api.request(
            method,
            path,
            body=body,
            connect_seconds=_REQUEST_SECONDS,
            read_seconds=_REQUEST_SECONDS,
        ) as response:
            return LeaseRecord(parse_object(response.read()))


def _micro_time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
