"""JSON off the wire, strict where it is fast and lenient where it must be. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson
from msgspec import MsgspecError, Raw, Struct, convert, field
from msgspec.json import Decoder

from eventrouter.errors import ApiError, BadLine
from eventrouter.kube.schema import Event, is_version, odd_event

# What msgspec raises at a text that is no JSON, not of the type, or too deep.
_REFUSED = (MsgspecError, UnicodeDecodeError, RecursionError)


class _WatchEvent(Struct, gc=False):
    type: str
    object: Event


class _ListMeta(Struct, gc=False):
    resource_version: str = field(name="resourceVersion")
    continue_token: str | None = field(name="continue", default=None)

    def __post_init__(self) -> None:
        self.continue_token = self.continue_token or None
        if not is_version(self.resource_version):
            raise ValueError("no resourceVersion")


class _EventList(Struct, gc=False):
    metadata: _ListMeta
    items: list[Raw] | None = None


class Page(NamedTuple):
    """One page of a list. Every page of a list is of the same resource_version.

    Its events are read one by one as they are taken, which may raise BadLine: all of them at once
    are more objects than a processor's cache holds.
    """

    items: Iterable[Event]
    resource_version: str
    continue_token: str | None


_watch_event = Decoder(_WatchEvent).decode
_event_list = Decoder(_EventList).decode
_event = Decoder(Event).decode


def parse_watch_event(line: bytes) -> tuple[str, Event]:
    """The type and the object of a watch line. Raises BadLine if it is no such thing."""
    try:
        read = _watch_event(line)
    except _REFUSED:
        return _odd_watch_event(line)
    return read.type, read.object


def _odd_watch_event(line: bytes) -> tuple[str, Event]:
    event = _parse(line)
    if isinstance(event, dict):
        kind, whole = event.get("type"), event.get("object")
        if isinstance(kind, str) and isinstance(whole, dict):
            return kind, odd_event(whole)
    raise BadLine(f"the API server sent a line that is no watch event: {line[:80]!r}")


def parse_page(body: bytes) -> Page:
    """A page of a list of events. Raises ApiError if it is none."""
    try:
        page = _event_list(body)
    except _REFUSED:
        return _odd_page(parse_object(body))
    metadata = page.metadata
    return Page(_events(page.items or ()), metadata.resource_version, metadata.continue_token)


def _events(texts: Iterable[Raw]) -> Iterator[Event]:
    for text in texts:
        try:
            event = _event(text)
        except _REFUSED:
            whole = _parse(bytes(text))
            if not isinstance(whole, dict):
                continue
            event = odd_event(whole)
        yield event


def _odd_page(page: dict[str, Any]) -> Page:
    try:
        metadata = convert(page.get("metadata"), _ListMeta)
        items = convert(page.get("items") or [], list)
    except ValueError as error:
        message = "the API server answered with no list of events"
        raise ApiError(message, reason="bad_list") from error
    events = (odd_event(item) for item in items if isinstance(item, dict))
    return Page(events, metadata.resource_version, metadata.continue_token)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises BadLine if it is none."""
    value = _parse(body)
    if isinstance(value, dict):
        return value
    raise BadLine(f"the API server answered with no JSON object: {body[:80]!r}")


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        # What orjson refuses and JSON's grammar knows: lone surrogates, NaN, bad UTF-8.
        return json.loads(
            data.decode("utf-8", "replace"), parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:
        raise BadLine(f"the API server sent what cannot be read ({error}): {data[:80]!r}") from None


def _finite(text: str) -> float | None:
    """NaN, infinity and what overflows to it are null: no JSON further on could say them."""
    value = float(text)
    return value if math.isfinite(value) else None
