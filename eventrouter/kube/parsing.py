"""JSON from the API server: read strictly where that is fast, leniently where it must be. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import orjson
from msgspec import MsgspecError, Raw, Struct, convert, field
from msgspec.json import Decoder

from eventrouter.errors import ApiError, BadLine
from eventrouter.kube.schema import Event, is_resource_version, untyped_event
from eventrouter.kube.status import line_error

T = TypeVar("T")

# msgspec raises these at a text that is no JSON, does not fit the type, or is too deep.
_REFUSED = (MsgspecError, UnicodeDecodeError, RecursionError)

# Far deeper than a record may be (capture/truncation.py), and what every parser takes: orjson's own
# limit is 1,024. An API server takes 10,000 levels, from anybody who may write an event.
_MAX_DEPTH = 500
# Possessive: a text may have a million escapes, and none of them is looked at twice.
_STRINGS_AND_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)

_DELETED = b'{"type":"DELETED"'
# An object's metadata comes first, and its resourceVersion comes before any text that the event's
# writer chose (apimachinery meta/v1 ObjectMeta): so the first match in a line is the object's own.
_RESOURCE_VERSION = re.compile(rb'"resourceVersion":"([0-9]{1,100})"')


class Added(Struct, gc=False, tag_field="type", tag="ADDED"):
    """A watch item: a new event."""

    event: Event = field(name="object")


class Updated(Struct, gc=False, tag_field="type", tag="MODIFIED"):
    """A watch item: another state of an event."""

    event: Event = field(name="object")


class Reached(NamedTuple):
    """A watch item: the stream has come to this resourceVersion, with nothing to ship."""

    resource_version: str


# An ApiError as an item is what an ERROR line says, or a BadLine.
WatchItem = Added | Updated | Reached | ApiError


class Page(NamedTuple):
    """One page of a list: `events` events in `body_bytes` of JSON.

    Its events are read one by one as they are taken, which may raise BadLine: all of them at once
    are more objects than a processor's cache holds.
    """

    items: Iterable[Event]
    resource_version: str
    continue_token: str | None
    events: int = 0
    body_bytes: int = 0


class _ListMeta(Struct, gc=False):
    resource_version: str = field(name="resourceVersion")
    continue_token: str | None = field(name="continue", default=None)

    def __post_init__(self) -> None:
        self.continue_token = self.continue_token or None
        if not is_resource_version(self.resource_version):
            raise ValueError("no resourceVersion")


class _EventList(Struct, gc=False):
    metadata: _ListMeta
    items: list[Raw] | None = None


_change = Decoder(Added | Updated).decode
_event_list = Decoder(_EventList).decode
_event = Decoder(Event).decode


def watch_events(lines: Iterable[bytes]) -> Iterator[WatchItem]:
    """Read the lines of a watch into items, in their order.

    Deletions and bookmarks become Reached. Of several deletions in a row only the last one does,
    and none if a change follows, which has reached further.
    """
    last_deleted = b""
    for line in lines:
        if line.startswith(_DELETED):
            last_deleted = line
            continue
        try:
            item: WatchItem = _typed(_change, line)
        except _REFUSED:
            other = _other_item(line)
            if other is None:
                continue
            if isinstance(other, ApiError):
                yield from _reached(last_deleted)
            item = other
        last_deleted = b""
        yield item
    yield from _reached(last_deleted)


def _typed(decode: Callable[[bytes], T], text: bytes) -> T:
    """Read it by its type, what is nested too deep as null. Raises what is _REFUSED.

    Only an event's managedFields are so deep, which no type here has: without a type, they and
    those of all events beside it would become objects of ten times their size.
    """
    try:
        return decode(text)
    except RecursionError:
        return decode(_shallow(text))


def _reached(deleted: bytes) -> Iterator[Reached]:
    """The position of a deletion, unless it names none that can be used."""
    if match := _RESOURCE_VERSION.search(deleted):
        yield Reached(match[1].decode())


def _other_item(line: bytes) -> WatchItem | None:
    """Read a line that is no plain change. None if there is nothing in it."""
    try:
        value = _parse(line)
    except BadLine as error:
        # JSON allows blank lines between texts, though no API server sends any.
        return None if line.isspace() else error
    raw = value.get("object") if isinstance(value, dict) else None
    if not isinstance(raw, dict) or not isinstance(type_ := value.get("type"), str):
        return BadLine(f"the API server sent a line that is no watch event: {line[:80]!r}")
    if type_ == "ERROR":
        return line_error(raw)
    event = untyped_event(raw)
    if type_ in ("ADDED", "MODIFIED"):
        return Added(event) if type_ == "ADDED" else Updated(event)
    version = event.metadata.resource_version  # of a bookmark, or of a type that came later
    return Reached(version) if version else None


def parse_page(body: bytes) -> Page:
    """Read a page of a list of events. Raises ApiError if it is none."""
    try:
        page = _typed(_event_list, body)
    except _REFUSED:
        return _untyped_page(body)
    items = page.items or ()
    metadata = page.metadata
    return Page(
        _events(items), metadata.resource_version, metadata.continue_token, len(items), len(body)
    )


def _events(texts: Iterable[Raw]) -> Iterator[Event]:
    for text in texts:
        try:
            event = _event(text)
        except _REFUSED:
            raw = _parse(bytes(text))
            if not isinstance(raw, dict):
                continue
            event = untyped_event(raw)
        yield event


def _untyped_page(body: bytes) -> Page:
    page = parse_object(body)
    try:
        metadata = convert(page.get("metadata"), _ListMeta)
        items = convert(page.get("items") or [], list)
    except ValueError as error:
        message = "the API server answered with no list of events"
        raise ApiError(message, reason="bad_list") from error
    events = (untyped_event(item) for item in items if isinstance(item, dict))
    return Page(events, metadata.resource_version, metadata.continue_token, len(items), len(body))


def parse_object(body: bytes) -> dict[str, Any]:
    """Read the JSON object of an answer. Raises BadLine if it is none."""
    value = _parse(body)
    if isinstance(value, dict):
        return value
    raise BadLine(f"the API server answered with no JSON object: {body[:80]!r}")


def _parse(data: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)
    data = _shallow(data)
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)
    try:
        # JSON's grammar allows lone surrogates, and senders write NaN and bad UTF-8.
        return json.loads(
            data.decode("utf-8", "replace"), parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:
        raise BadLine(f"the API server sent what cannot be read ({error}): {data[:80]!r}") from None


def _shallow(data: bytes) -> bytes:
    """The JSON text with null for what is nested deeper than _MAX_DEPTH."""
    parts = []
    depth = copied = 0
    for token in _STRINGS_AND_BRACKETS.finditer(data):
        if token[0] in (b"{", b"["):
            depth += 1
            if depth == _MAX_DEPTH + 1:
                parts += [data[copied : token.start()], b"null"]
        elif token[0] in (b"}", b"]"):
            if depth == _MAX_DEPTH + 1:
                copied = token.end()
            depth -= 1
    return b"".join([*parts, data[copied:] if depth <= _MAX_DEPTH else b""])  # else it is cut off


def _finite(text: str) -> float | None:
    """NaN, infinity, and a number that overflows to it, as null: no JSON further on has them."""
    value = float(text)
    return value if math.isfinite(value) else None
