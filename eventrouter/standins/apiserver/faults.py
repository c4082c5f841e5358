"""Faults of an API server, for a test to cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from eventrouter.standins.apiserver.encoding import encode
from eventrouter.standins.apiserver.http import Request, RequestType
from eventrouter.standins.apiserver.objects import ALWAYS
from eventrouter.standins.apiserver.status import Refusal
from eventrouter.standins.apiserver.stream import Stream
from eventrouter.standins.standin import StandIn

Expiry = Literal["status", "line", "empty"]

_MESSAGES = {
    429: "Too many requests, please try again later.",
    500: "Internal error occurred: etcd event received with PrevKv=nil",  # kubernetes#76675
    503: "the server is currently unable to handle the request",
}


class _Answer(NamedTuple):
    to: RequestType | None
    refusal: Refusal


class Faults:
    """Each method causes one fault. Planned faults wait for their requests, in order."""

    def __init__(self, server: StandIn, *, open_streams: Callable[[], list[Stream]]) -> None:
        self._server = server
        self._open_streams = open_streams
        self._answers: list[_Answer] = []
        self._expiries: list[Expiry] = []

    def answer(
        self,
        status: int,
        *,
        to: RequestType | None = None,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        message: str | None = None,
    ) -> None:
        """Refuse the next requests of a type (default: of any) with this status."""
        text = message or _MESSAGES.get(status, "planned")
        refusal = Refusal(status, text, headers=dict(headers or {}))
        self._answers += [_Answer(to, refusal)] * times

    def expire_watches(self, form: Expiry, *, times: int = 1) -> None:
        """Tell the next watches that their revision is too old, in a form that servers use.

        `status` is HTTP status 410, `line` is an ERROR line after HTTP 200, and `empty` is an empty
        stream that ends at once.
        """
        self._expiries += [form] * times

    def close_watches(self) -> None:
        """End the open watches before their time, each with its last chunk."""
        for stream in self._open_streams():
            stream.end()

    def cut_watches(self, *, after_bytes: int = 0) -> None:
        """Reset the open watches after so many more bytes, even within a line."""
        for stream in self._open_streams():
            stream.cut(after_bytes=after_bytes)

    def inject(self, data: bytes) -> None:
        """Send raw bytes to the open watches, after everything written so far."""
        for stream in self._open_streams():
            stream.inject(data)

    def inject_error(self, code: int, *, message: str | None = None) -> None:
        """Send an ERROR line to the open watches."""
        self.inject(Refusal(code, message or _MESSAGES.get(code, "planned")).line)

    def inject_bookmark(self, revision: int) -> None:
        """Send a BOOKMARK to the open watches, like a server whose watch cache is turned on."""
        bookmark = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(revision), "creationTimestamp": None},
            **ALWAYS,
        }
        self.inject(encode({"type": "BOOKMARK", "object": bookmark}) + b"\n")

    def go_silent(self) -> None:
        """Send nothing more on any connection, old or new, and keep them open."""
        self._server.shut_gate()

    def wake(self) -> None:
        """End `go_silent`: send what is due, and so on."""
        self._server.open_gate()

    def refuse(self) -> None:
        """Act like a killed server: reset open connections and refuse new ones."""
        self._server.refuse()

    def listen(self) -> None:
        """End `refuse`: listen at the same port again."""
        self._server.listen()

    # For the server.

    def strike(self, request: Request) -> None:
        """Raise the refusal that is planned for this request, if there is one."""
        for answer in self._answers:
            if answer.to in (None, request.type):
                self._answers.remove(answer)
                raise answer.refusal

    def next_expiry(self) -> Expiry | None:
        """The form of the next planned expiry, which is then used up."""
        return self._expiries.pop(0) if self._expiries else None
