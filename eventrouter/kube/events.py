"""The events of the API server: its pages of lists and its watches, raw."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO

import urllib3

from eventrouter.errors import ApiError
from eventrouter.kube.api import KubeApi
from eventrouter.kube.parsing import Page, parse_page
from eventrouter.ops.metrics import Metrics

_LIST_SECONDS = 60.0
# How far the read timeout of a watch lies above the server's own end of it.
_WATCH_GRACE_SECONDS = 15.0
# Far above the 1.5 MiB that etcd takes: a line this long is no event.
_MAX_LINE_BYTES = 64 * 1024 * 1024
# Some fifty events: what is done once for all that arrived together costs next to nothing then.
_GATHER_BYTES = 64 * 1024
# So long for more to come: a thread that wakes for each single event costs several times as much.
# Little beside the batch's age limit (forward/pacing.py).
_REST_SECONDS = 0.01


class KubeEvents:
    """core/v1 Events, for any number of reflectors. Thread-safe.

    Only core/v1: events.k8s.io shows the same objects again.
    """

    def __init__(self, *, api: KubeApi, field_selector: str | None, metrics: Metrics) -> None:
        self._api = api
        self._field_selector = field_selector
        self._metrics = metrics
        self._lock = threading.Lock()
        self._open: set[urllib3.BaseHTTPResponse] = set()
        self._closed = False

    def page(
        self,
        namespace: str,
        *,
        limit: int,
        resource_version: str | None = None,
        continue_token: str | None = None,
        selected: bool = True,
    ) -> Page:
        """One page of the list of events; of exactly `resource_version` if one is given."""
        query = {"limit": str(limit)}
        if resource_version is not None:
            query |= {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        if continue_token is not None:
            query["continue"] = continue_token
        try:
            with self._get(namespace, query, selected, _LIST_SECONDS) as response:
                page = parse_page(response.read())
        except ApiError as error:
            self._metrics.lists.labels(error.reason).inc()
            raise
        self._metrics.lists.labels("ok").inc()
        return page

    @contextlib.contextmanager
    def watch(
        self, namespace: str, *, resource_version: str, timeout_seconds: int
    ) -> Iterator[Iterator[list[bytes]]]:
        """The lines of a watch, as many at a time as arrived together."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
        }
        read_seconds = timeout_seconds + _WATCH_GRACE_SECONDS
        with self._get(namespace, query, True, read_seconds) as response:
            pieces = gathered(
                response.stream(amt=None, decode_content=False),
                is_more_there=_readiness(response),
                on_arrival=self._api.answered,
                rest=partial(time.sleep, _REST_SECONDS),
            )
            yield lines_of(pieces)

    def close(self) -> None:
        """End all that is open and refuse what comes. Wakes threads that wait for an answer."""
        with self._lock:
            self._closed = True
            responses = list(self._open)
        for response in responses:
            with contextlib.suppress(Exception):  # it may have ended by itself just now
                response.shutdown()

    @contextlib.contextmanager
    def _get(
        self, namespace: str, query: dict[str, str], selected: bool, read_seconds: float
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        if selected and self._field_selector:
            query["fieldSelector"] = self._field_selector
        path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
        with self._api.request("GET", path, query=query, read_seconds=read_seconds) as response:
            with self._lock:
                self._open.add(response)
                if self._closed:
                    raise ApiError("stopping", reason="stopping")
            try:
                yield response
            finally:
                with self._lock:
                    self._open.discard(response)


def lines_of(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Complete lines, with their ends. A last one without was cut off, and will come again."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        rest.append(piece)
        if b"\n" not in piece:
            size += len(piece)
            if size > _MAX_LINE_BYTES:
                raise ApiError("the watch sent a line without end", reason="bad_line")
            continue
        lines = BytesIO(b"".join(rest)).readlines()  # by memchr; split() looks at each byte
        tail = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield lines
        rest, size = [tail], len(tail)


def gathered(
    pieces: Iterable[bytes],
    *,
    is_more_there: Callable[[], bool],
    on_arrival: Callable[[], None],
    rest: Callable[[], None],
) -> Iterator[bytes]:
    """The same bytes in larger pieces: all that arrives until after a rest, up to _GATHER_BYTES.

    A busy API server sends each event or two in a chunk of HTTP of their own. Whatever comes before
    an error is given before the error, so that a link that breaks often still brings events.
    """
    waiting: list[bytes] = []
    size = 0
    has_rested = False
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size < _GATHER_BYTES:
                if is_more_there():
                    continue
                if not has_rested:
                    has_rested = True
                    rest()
                    if is_more_there():
                        continue
            on_arrival()
            yield b"".join(waiting)
            waiting, size, has_rested = [], 0, False
    except (urllib3.exceptions.HTTPError, OSError):
        yield b"".join(waiting)
        raise
    yield b"".join(waiting)


def _readiness(response: urllib3.BaseHTTPResponse) -> Callable[[], bool]:
    """A question without a wait: has more arrived?"""
    poll = select.poll()
    poll.register(response.fileno(), select.POLLIN)
    return lambda: bool(poll.poll(0))
