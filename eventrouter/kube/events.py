"""The events of the API server: pages of lists, and watches as lines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO

import urllib3

from eventrouter.errors import ApiError, PageTooLarge
from eventrouter.kube.api import KubeApi
from eventrouter.kube.body import Body
from eventrouter.kube.parsing import Page, parse_page
from eventrouter.kube.schema import MAX_EVENT_BYTES
from eventrouter.ops.metrics import Metrics

_LIST_SECONDS = 60.0
# How far the read timeout of a watch lies above the server's own end of it.
_WATCH_GRACE_SECONDS = 15.0
# Some hundred events: the work done once for all that arrived together costs next to nothing.
_COALESCED_BYTES = 128 * 1024


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
        max_bytes: int = MAX_EVENT_BYTES,
    ) -> Page:
        """One page of the list of events; of exactly `resource_version` if one is given.

        Reads no more than `max_bytes`: a larger page raises PageTooLarge.
        """
        query = {"limit": str(limit)}
        if resource_version is not None:
            query |= {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        if continue_token is not None:
            query["continue"] = continue_token
        try:
            with self._get(namespace, query, selected, _LIST_SECONDS) as response:
                body = response.read(amt=max_bytes + 1)
                if len(body) > max_bytes:
                    raise PageTooLarge(
                        f"a page of up to {limit} events has more than {max_bytes} bytes"
                    )
                page = parse_page(body)
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
        with (
            self._get(namespace, query, True, read_seconds) as response,
            Body(response) as body,
        ):
            pieces = coalesced(
                body.pieces(),
                is_more_there=body.is_more_there,
                on_arrival=self._api.answered,
                rest=body.rest,
            )
            yield lines_of(pieces)

    def close(self) -> None:
        """End all open requests and refuse new ones. Wakes threads that wait for an answer."""
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
            except (ValueError, AttributeError) as error:
                if not self._closed:
                    raise
                # Python's ssl, where `close` comes while it reads.
                raise ApiError("stopping", reason="stopping") from error
            finally:
                with self._lock:
                    self._open.discard(response)


def lines_of(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Complete lines, with their ends. A last line without its end was cut off: the next watch
    brings it again."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        end = piece.find(b"\n") + 1
        if not end:
            rest.append(piece)
            size += len(piece)
            if size > MAX_EVENT_BYTES:
                raise ApiError("the watch sent a line without end", reason="bad_line")
            continue
        # A line may have megabytes, so it is copied but once and kept no longer than need be.
        rest.append(piece[:end])
        lines = [b"".join(rest)]
        rest.clear()
        lines += BytesIO(piece[end:]).readlines()  # by memchr; split() looks at each byte
        if not lines[-1].endswith(b"\n"):
            rest.append(lines.pop())
        size = sum(map(len, rest))
        yield lines


def coalesced(
    pieces: Iterable[bytes],
    *,
    is_more_there: Callable[[], bool],
    on_arrival: Callable[[], None],
    rest: Callable[[], bool],
) -> Iterator[bytes]:
    """The same bytes in larger pieces, of up to about _COALESCED_BYTES.

    A piece ends when nothing more is there even after one rest, which says whether there is. If the
    link breaks, the bytes that came before the error are given first, so that a link that breaks
    often still brings events.
    """
    waiting: list[bytes] = []
    size = 0
    has_line = has_rested = False

    def is_more_coming() -> bool:
        nonlocal has_rested
        if not has_line or is_more_there():
            return True  # half a line is no event, so it begins no round
        if has_rested:
            return False
        has_rested = True
        return rest()

    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            has_line = has_line or b"\n" in piece
            if size < _COALESCED_BYTES and is_more_coming():
                continue
            on_arrival()
            yield b"".join(waiting)
            waiting, size, has_line, has_rested = [], 0, False, False
    except (urllib3.exceptions.HTTPError, OSError):
        yield b"".join(waiting)
        raise
    yield b"".join(waiting)
