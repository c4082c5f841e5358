"""`eventrouter check`: every link tried once, and what was found in plain words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from eventrouter.clock import SystemClock
from eventrouter.config import Config, Lease, checked
from eventrouter.errors import ApiError, EventrouterError, ForwardError
from eventrouter.forward import protocol
from eventrouter.forward.connection import Address, Link
from eventrouter.forward.sender import random_chunk_id
from eventrouter.kube.api import KubeApi
from eventrouter.kube.credentials import Credentials
from eventrouter.kube.events import KubeEvents
from eventrouter.kube.lease import KubeLease
from eventrouter.kube.parsing import parse_object
from eventrouter.ops.metrics import Metrics

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one link."""

    link: str
    is_good: bool
    what: str


def check(settings: Config) -> Iterator[Finding]:
    """One finding for each link. Changes nothing. Raises ConfigError for a wrong setting."""
    api = KubeApi(credentials=Credentials.of(settings.kubeconfig, clock=SystemClock()))
    address = checked("--forward", settings.forward, Address.parse)
    events = KubeEvents(api=api, field_selector=settings.field_selector, metrics=Metrics())
    for namespace in settings.namespaces or ("",):
        where = f"events of {namespace}" if namespace else "events of all namespaces"
        yield _tried(where, partial(_events, api, events, namespace))
    yield _tried("sidecar", lambda: _sidecar(address, settings.tag_prefix))
    if isinstance(settings.checkpoint, Lease):
        lease = settings.checkpoint
        yield _tried("lease", partial(_lease, api, lease))
    elif settings.checkpoint is not None:
        path = settings.checkpoint
        yield _tried("checkpoint", lambda: _writable(path.parent, f"can be kept in {path}"))
    if settings.buffer_path is not None:
        folder = settings.buffer_path
        yield _tried("buffer", partial(_buffer, folder))


def _tried(link: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(link, True, attempt())
    except (EventrouterError, OSError) as error:
        return Finding(link, False, str(error))


def _events(api: KubeApi, events: KubeEvents, namespace: str) -> str:
    page = events.page(namespace, limit=1)
    if not _is_allowed(api, namespace, "", "events", "watch"):
        raise ApiError("they can be listed, not watched: grant `watch`", reason="forbidden")
    return f"can be listed and watched at {api.server}, revision {page.resource_version}"


def _sidecar(address: Address, tag_prefix: str) -> str:
    link = Link.open(address)
    try:
        chunk = random_chunk_id()
        link.send(protocol.frame(f"{tag_prefix}.other", (), chunk=chunk))
        link.await_ack(chunk, seconds=_SECONDS)
    except ForwardError as error:
        raise ForwardError(f"{address.url} takes connections, but: {error}") from error
    finally:
        link.close()
    return f"acknowledges at {address.url}"


def _lease(api: KubeApi, lease: Lease) -> str:
    record = KubeLease(api=api, namespace=lease.namespace, name=lease.name).read()
    group = "coordination.k8s.io"
    missing = [
        verb
        for verb, name in (("create", ""), ("update", lease.name))
        if not _is_allowed(api, lease.namespace, group, "leases", verb, name)
    ]
    if missing:
        raise ApiError(f"no right to {' and '.join(missing)} it", reason="forbidden")
    holder = f"held by {record.holder}" if record.holder else "free"
    return f"{lease.namespace}/{lease.name} can be written, {holder}"


def _is_allowed(
    api: KubeApi, namespace: str, group: str, resource: str, verb: str, name: str = ""
) -> bool:
    """What the API server itself says of our rights; everybody may ask that."""
    attributes = {
        "namespace": namespace, "group": group, "resource": resource, "verb": verb, "name": name,
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    with api.request("POST", path, body=orjson.dumps(review), read_seconds=_SECONDS) as response:
        status = parse_object(response.read()).get("status")
    return isinstance(status, dict) and status.get("allowed") is True


def _buffer(folder: Path) -> str:
    inputs = sorted(path.name for path in folder.glob("forward.*"))
    if not inputs:
        raise FileNotFoundError(
            f"{folder} holds no folder of a forward input: is it Fluent Bit's storage.path,"
            " mounted here too, and has it taken an event yet?"
        )
    return _writable(folder, f"{folder} is Fluent Bit's, with {', '.join(inputs)}")


def _writable(folder: Path, what: str) -> str:
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written")
    return what
