"""What can go wrong with an API server, at a test's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from eventrouter.standins.apiserver.encoding import encode
from eventrouter.standins.apiserver.http import Kind, Request
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
    to: Kind | None
    refusal: Refusal


class Faults:
    """Each method brings one fault about. Planned ones wait for their request, in order."""

    def __init__(self, server: StandIn, *, open_streams: Callable[[], list[Stream]]) -> None:
        self._server = server
        self._open_streams = open_streams
        self._answers: list[_Answer] = []
        self._expiries: list[Expiry] = []

    def answer(
        self,
        status: int,
        *,
        to: Kind | None = None,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        message: str | None = None,
    ) -> None:
        """Refuse the next requests of a kind (default: of any) with this status."""
        text = message or _MESSAGES.get(status, "planned")
        refusal = Refusal(status, text, headers=dict(headers or {}))
        self._answers += [_Answer(to, refusal)] * times

    def expire_watches(self, form: Expiry, *, times: int = 1) -> None:
        """Find the next watches too old, in one of the forms in which servers say so: HTTP status
        410, an ERROR line after HTTP 200, or an empty stream that ends at once."""
        self._expiries += [form] * times

    def close_watches(self) -> None:
        """End the open watches in the orderly way, before their time."""
        for stream in self._open_streams():
            stream.end()

    def cut_watches(self, *, after_bytes: int = 0) -> None:
        """Reset the open watches after so many bytes more, wherever in a line that is."""
        for stream in self._open_streams():
            stream.cut(after_bytes=after_bytes)

    def inject(self, data: bytes) -> None:
        """Put raw bytes into the open watches, behind what was written so far."""
        for stream in self._open_streams():
            stream.inject(data)

    def inject_error(self, code: int, *, message: str | None = None) -> None:
        """Put an ERROR line into the open watches."""
        self.inject(Refusal(code, message or _MESSAGES.get(code, "planned")).line)

    def inject_bookmark(self, revision: int) -> None:
        """Put a BOOKMARK into the open watches, as where an admin turned the watch cache on."""
        bookmark = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(revision), "creationTimestamp": None},
            **ALWAYS,
        }
        self.inject(encode({"type": "BOOKMARK", "object": bookmark}) + b"\n")

    def go_silent(self) -> None:
        """Send nothing more, on old connections or new, and keep them all open."""
        self._server.shut_gate()

    def wake(self) -> None:
        """Send again, beginning with what is due."""
        self._server.open_gate()

    def refuse(self) -> None:
        """Be gone, as a killed server: connections are reset, new ones refused."""
        self._server.refuse()

    def listen(self) -> None:
        """Be back at the same port."""
        self._server.listen()

    # For the server.

    def strike(self, request: Request) -> None:
        """Raise the refusal that is planned for this request, if any."""
        for answer in self._answers:
            if answer.to in (None, request.kind):
                self._answers.remove(answer)
                raise answer.refusal

    def next_expiry(self) -> Expiry | None:
        return self._expiries.pop(0) if self._expiries else None
