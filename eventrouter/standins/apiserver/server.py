"""A stand-in for kube-apiserver that serves core/v1 Events to readers.

It answers like kube-apiserver 1.36. Events have no watch cache there, so lists and watches read the
store itself, and no watch gets a BOOKMARK.
"""

from __future__ import annotations

import re
import socket
from functools import partial
from pathlib import Path

from eventrouter.standins.apiserver.encoding import encode
from eventrouter.standins.apiserver.faults import Faults
from eventrouter.standins.apiserver.http import (
    LAST_CHUNK,
    Request,
    RequestType,
    chunk,
    head,
    read_request,
    response,
)
from eventrouter.standins.apiserver.listing import list_events, parse_revision
from eventrouter.standins.apiserver.selector import FieldSelector
from eventrouter.standins.apiserver.status import EXPIRED_WATCH, Refusal
from eventrouter.standins.apiserver.store import Compacted, EventStore
from eventrouter.standins.apiserver.stream import Stream
from eventrouter.standins.standin import StandIn

_EVENTS = re.compile(r"/api/v1/(namespaces/[^/]+/)?events")
_VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.3", "platform": "linux/amd64"}
_WATCH_SECONDS = 1800.0  # if the client gives no timeout; a real server takes 30 to 60 minutes

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster: {{server: "{url}"}}
users:
- name: demo
  user: {{token: "{token}"}}
contexts:
- name: demo
  context: {{cluster: demo, user: demo}}
current-context: demo
"""


class ApiServer(StandIn):
    """Serves the events of a store on a loopback port, over plain HTTP.

    `requests` holds every request so far, in order. If you set `tokens`, only these bearer tokens
    are accepted. `denied` holds the verbs ("list", "watch") that `user` has no right to. `faults`
    causes everything else that can go wrong.
    """

    def __init__(
        self, store: EventStore, *, port: int = 0, user: str = "system:serviceaccount:demo:demo"
    ) -> None:
        self.store = store
        self.user = user
        self.requests: list[Request] = []
        self.tokens: set[str] | None = None
        self.denied: set[str] = set()
        self.faults = Faults(self, open_streams=self.open_streams)
        self._streams: list[Stream] = []
        super().__init__(f"tcp://127.0.0.1:{port}")

    @property
    def url(self) -> str:
        return self.address.replace("tcp:", "http:")

    def open_streams(self) -> list[Stream]:
        """The watches that are open now."""
        with self.changed:
            return list(self._streams)

    def wait_for_requests(
        self, count: int, *, type: RequestType | None = None, timeout: float = 30.0
    ) -> list[Request]:
        """Wait until there have been so many requests (of a type) in all, and return them."""

        def enough() -> list[Request] | None:
            found = [request for request in self.requests if type in (None, request.type)]
            return found if len(found) >= count else None

        return self.wait_for(enough, timeout=timeout) or []

    def wait_for_watches(self, count: int, *, timeout: float = 30.0) -> None:
        """Wait until exactly so many watches are open."""
        self.wait_for(lambda: len(self._streams) == count, timeout=timeout)

    def write_kubeconfig(self, path: Path, *, token: str = "demo") -> None:
        """Write a kubeconfig that leads to this server."""
        path.write_text(_KUBECONFIG.format(url=self.url, token=token), encoding="utf-8")

    def answer_other(self, request: Request) -> bytes:
        """The JSON that answers a request for anything but events; override it. Raises Refusal."""
        raise Refusal.not_found()

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as reader:
            while (request := read_request(reader)) is not None:
                with self.changing():
                    self.requests.append(request)
                self.pass_gate(connection)
                try:
                    self._answer(connection, request)
                except Refusal as refusal:
                    status = encode(refusal.body) + b"\n"
                    connection.sendall(
                        response(refusal.code, status, request=request, headers=refusal.headers)
                    )

    def _answer(self, connection: socket.socket, request: Request) -> None:
        self.faults.strike(request)
        self._authenticate(request)
        if request.path == "/version":
            connection.sendall(response(200, encode(_VERSION), request=request))
            return
        if not _EVENTS.fullmatch(request.path):
            connection.sendall(response(200, self.answer_other(request), request=request))
            return
        if request.method != "GET":
            raise Refusal(405, "the server does not allow this method on the requested resource")
        verb = "watch" if request.is_watch else "list"
        if verb in self.denied:
            raise Refusal.forbidden(user=self.user, verb=verb, namespace=request.namespace)
        if request.is_watch:
            self._watch(connection, request)
        else:
            connection.sendall(response(200, list_events(self.store, request), request=request))

    def _authenticate(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens is not None and token not in self.tokens:
            raise Refusal.unauthorized()

    def _watch(self, connection: socket.socket, request: Request) -> None:
        query = request.query
        for option in ("resourceVersionMatch", "sendInitialEvents"):  # of WatchList, which is off
            if option in query:
                raise Refusal.invalid_option(option, f"{option} is forbidden for watch")
        selector = FieldSelector(query.get("fieldSelector", ""))
        # No version and 0 mean the same: begin with all events, with no mark at their end.
        after = parse_revision(query.get("resourceVersion", "")) or None
        seconds = float(query.get("timeoutSeconds") or _WATCH_SECONDS)
        expiry = self.faults.next_expiry()
        expired = Refusal.expired(EXPIRED_WATCH)
        if expiry == "status":
            raise expired
        connection.sendall(head(200, headers={"Transfer-Encoding": "chunked"}))
        if expiry == "empty":
            connection.sendall(LAST_CHUNK)
            return
        try:
            if expiry == "line":
                raise Compacted
            watch = self.store.watch(after, namespace=request.namespace)
        except Compacted:
            # The server asks etcd only after HTTP 200, so an ERROR line says that it is too old.
            connection.sendall(chunk(expired.line) + LAST_CHUNK)
            return
        stream = Stream(
            connection,
            watch,
            selector=selector,
            pass_gate=partial(self.pass_gate, connection),
        )
        with self.changing():
            self._streams.append(stream)
        try:
            stream.run(seconds=seconds)
        finally:
            watch.close()
            with self.changing():
                self._streams.remove(stream)
