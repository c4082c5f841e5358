"""The parts of HTTP/1.1 that a server of small requests needs."""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import responses
from typing import BinaryIO, Literal
from urllib.parse import parse_qsl, urlsplit

RequestType = Literal["list", "probe", "watch", "other"]

# k8s.io/apiserver, pkg/endpoints/handlers/responsewriters/writers.go: smaller answers are not
# compressed.
_GZIP_ABOVE_BYTES = 128 * 1024

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Names of headers are in lower case. `time` is monotonic, in seconds."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    time: float = field(default_factory=time.monotonic)

    @property
    def namespace(self) -> str | None:
        """The namespace in the path, if there is one."""
        parts = self.path.split("/")
        return parts[4] if parts[:4] == ["", "api", "v1", "namespaces"] and len(parts) > 5 else None

    @property
    def is_watch(self) -> bool:
        # runtime.Convert_Slice_string_To_bool: any value but "false" and "0" is true.
        return self.query.get("watch", "0").lower() not in ("false", "0")

    @property
    def type(self) -> RequestType:
        """What the request is for. A probe is an exact list of one item."""
        if not self.path.endswith("/events"):
            return "other"
        if self.is_watch:
            return "watch"
        exact = self.query.get("resourceVersionMatch") == "Exact"
        return "probe" if exact and self.query.get("limit") == "1" else "list"


def read_request(reader: BinaryIO) -> Request | None:
    """The next request, None if the client has closed the connection or speaks another protocol."""
    words = reader.readline().decode("latin-1").split()
    if len(words) != 3:
        return None
    headers: dict[str, str] = {}
    while line := reader.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", 0)))
    target = urlsplit(words[1])
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    return Request(words[0], target.path, query, headers, body)


def response(
    code: int, body: bytes, *, request: Request, headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole response with a JSON body."""
    extra = dict(headers or {})
    if "gzip" in request.headers.get("accept-encoding", "") and len(body) > _GZIP_ABOVE_BYTES:
        body = gzip.compress(body, compresslevel=1)
        extra |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return head(code, headers={**extra, "Content-Length": str(len(body))}) + body


def head(code: int, *, headers: Mapping[str, str]) -> bytes:
    """The status line and the headers."""
    common = {
        "Cache-Control": "no-cache, private",
        "Content-Type": "application/json",
        "Date": formatdate(usegmt=True),
    }
    lines = [f"HTTP/1.1 {code} {responses.get(code, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in {**common, **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
