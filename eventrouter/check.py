"""`eventrouter check`: tries every link once, and says in plain words what it found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import orjson

from eventrouter.checkpoint.backlog import STUCK_SECONDS, count
from eventrouter.checkpoint.buffer import chunks_in, has_content, is_optional, tag_of
from eventrouter.clock import SystemClock
from eventrouter.config import Config, LeaseRef, ObjectKind, checked
from eventrouter.errors import ApiError, EventrouterError, ForwardError
from eventrouter.forward.connection import Address, Connection
from eventrouter.kube.api import KubeApi
from eventrouter.kube.credentials import Credentials
from eventrouter.kube.events import KubeEvents
from eventrouter.kube.lease import KubeLease
from eventrouter.kube.parsing import parse_object
from eventrouter.ops.finding import Finding
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.setup_report import SetupReports

_SECONDS = 10.0


def check(settings: Config) -> Iterator[Finding]:
    """One finding for each link. Writes nothing. Raises ConfigError for a wrong setting."""
    api = KubeApi(credentials=Credentials.of(settings.kubeconfig, clock=SystemClock()))
    address = checked("--forward", settings.forward, Address.parse)
    events = KubeEvents(api=api, field_selector=settings.field_selector, metrics=Metrics())
    for namespace in settings.namespaces or ("",):
        where = f"events of {namespace}" if namespace else "events of all namespaces"
        yield _tried(where, partial(_events, api, events, namespace))
    for kind in settings.enrich:
        yield _tried(f"enrich {kind.kind}", partial(_look_ups, api, kind, settings.namespaces))
    yield _tried("sidecar", lambda: _sidecar(address, settings.tag_prefix))
    if isinstance(settings.checkpoint, LeaseRef):
        lease = settings.checkpoint
        yield _tried("lease", partial(_lease, api, lease))
    elif settings.checkpoint is not None:
        path = settings.checkpoint
        yield _tried("checkpoint", lambda: _writable(path.parent, f"can be kept in {path}"))
    if settings.buffer_path is not None:
        folder = settings.buffer_path
        yield _tried("buffer", partial(_buffer, folder))
    yield from SetupReports(settings.setup_reports).findings()


def _tried(link: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(link, True, attempt())
    except (EventrouterError, OSError) as error:
        return Finding(link, False, str(error))


def _events(api: KubeApi, events: KubeEvents, namespace: str) -> str:
    page = events.page(namespace, limit=1)
    if not _is_allowed(api, namespace, "", "events", "watch"):
        raise ApiError(
            "the role allows to list events, not to watch them: grant `watch`", reason="forbidden"
        )
    return f"can be listed and watched at {api.server}, revision {page.resource_version}"


def _look_ups(api: KubeApi, kind: ObjectKind, namespaces: tuple[str, ...]) -> str:
    """Whether objects of a kind can be looked up, in each namespace that is followed."""
    resource = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
    is_everywhere = not namespaces or (kind.is_namespaced is False and kind.plural != "namespaces")
    missing = [
        f"in {namespace}" if namespace else "in all namespaces"
        for namespace in ([""] if is_everywhere else namespaces)
        if not _is_allowed(api, namespace, kind.group, kind.plural, "get")
    ]
    if missing:
        raise ApiError(
            f"the role does not allow to get {resource} {', '.join(missing)}: grant `get`",
            reason="forbidden",
        )
    return f"{resource} can be looked up"


def _sidecar(address: Address, tag_prefix: str) -> str:
    connection = Connection.open(address)
    try:
        connection.ping(f"{tag_prefix}.other", seconds=_SECONDS)
    except ForwardError as error:
        raise ForwardError(f"{address.url} takes connections, but: {error}") from error
    finally:
        connection.close()
    return f"acknowledges at {address.url}"


def _lease(api: KubeApi, lease: LeaseRef) -> str:
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
    """Ask the API server about the watcher's own rights; everybody may do that."""
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
    chunks = chunks_in(folder)
    waiting, optional = (
        count(
            [chunk for chunk in chunks if is_optional(chunk) is wanted],
            partial(_has_content, folder),
        )
        for wanted in (False, True)
    )
    now = SystemClock().time()
    what = f"{folder} is Fluent Bit's; {waiting.describe(now)}"
    if optional.chunks:
        what += f"; for optional outputs {optional.describe(now)}"
    if waiting.age_seconds(now) >= STUCK_SECONDS:
        raise EventrouterError(f"{what} (tag {tag_of(folder / waiting.oldest)})")
    return _writable(folder, what)


def _has_content(folder: Path, chunk: str) -> bool:
    return has_content(folder / chunk)


def _writable(folder: Path, what: str) -> str:
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written")
    return what
