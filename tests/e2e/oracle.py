"""The oracle: which documents must stand in Elasticsearch, told from the ledger alone.

Written from the design, not from the product's code, and sharing none with it: what both got wrong
in the same way, this would not find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from tests.e2e.ledger import Event, Ledger, State, without_managed_fields
from tests.programs import Document

DAY = timedelta(days=1)


class Sighting(Enum):
    """How the watcher comes to see a state, which decides what can be known about it."""

    LISTED = "listed"  # it stood there at the first start: ADDED, whatever came before
    WATCHED = "watched"  # ADDED or UPDATED, with the state right before it
    RECOVERED = "recovered"  # listed after a gap: what came before it may be known or not
    LOST = "lost"  # the API server itself had it no longer; or it arrived before the gap


@dataclass(frozen=True, slots=True)
class Expected:
    """One document: what it must be, and where more than one answer is right, each of them."""

    id: str
    index: str
    timestamp: datetime
    event: Event
    verbs: frozenset[str]
    old_events: tuple[Event | None, ...]
    is_required: bool = True


@dataclass(slots=True)
class Comparison:
    """What is not as expected. All lists are empty when all is well."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.twice or self.unknown or self.wrong)

    def __str__(self) -> str:
        lines = []
        for name in ("lost", "twice", "unknown", "wrong"):
            found: list[str] = getattr(self, name)
            lines.append(f"{name}: {len(found)}")
            lines += [f"  {line}" for line in found[:5]]
        return "\n".join(lines)


def expected_document(
    state: State, previous: State | None, *, sighting: Sighting = Sighting.WATCHED
) -> Expected:
    """The document of one state; `previous` is the event's state right before it."""
    is_first = previous is None
    verbs = frozenset({"ADDED"} if is_first else {"UPDATED"})
    old_events: tuple[Event | None, ...] = (_shown(previous.event) if previous else None,)
    if sighting is Sighting.LISTED:
        verbs, old_events = frozenset({"ADDED"}), (None,)
    elif sighting is not Sighting.WATCHED and not is_first:
        verbs, old_events = frozenset({"ADDED", "UPDATED"}), (*old_events, None)
    time = event_time(state.event)
    return Expected(
        id=state.id,
        index=f"kube-events-{time:%Y.%m.%d}",
        timestamp=time,
        event=_shown(state.event),
        verbs=verbs,
        old_events=old_events,
        is_required=sighting is not Sighting.LOST,
    )


def expected_documents(
    ledger: Ledger,
    *,
    listed_at: int,
    gaps: Mapping[int, int] | None = None,
    slow_lists: Mapping[int, int] | None = None,
) -> dict[str, Expected]:
    """All documents by id, for a watcher that first listed at this revision and then followed.

    `gaps` are the times it was away for too long: from the last revision that it is known to have
    shipped, to the revision that was compacted meanwhile. Of the states in between, the
    API server has only those that were current at the latter. `slow_lists` says by the first of the
    two at which revision a list ended that took longer than the API server held the second: it has
    only what still stood then.
    """
    expected = {}
    for state in ledger.current(listed_at).values():
        expected[state.id] = expected_document(state, state.previous, sighting=Sighting.LISTED)
    survivors: dict[int, set[str]] = {}
    for shipped, compacted in (gaps or {}).items():
        survivors[compacted] = set(ledger.current(compacted))
        if shipped in (slow_lists or {}):
            survivors[compacted] &= ledger.current((slow_lists or {})[shipped]).keys()
    for state in ledger.since(listed_at):
        sighting = Sighting.WATCHED
        for shipped, compacted in (gaps or {}).items():
            if shipped < state.revision <= compacted:
                survives = state.id in survivors[compacted]
                sighting = Sighting.RECOVERED if survives else Sighting.LOST
        expected[state.id] = expected_document(state, state.previous, sighting=sighting)
    return expected


def compare(expected: Mapping[str, Expected], documents: Iterable[Document]) -> Comparison:
    """Hold what Elasticsearch has against what it should have."""
    result = Comparison()
    seen: dict[str, str] = {}
    for document in documents:
        if document.id in seen:
            result.twice.append(f"{document.id} in {seen[document.id]} and {document.index}")
            continue
        seen[document.id] = document.index
        if document.id not in expected:
            result.unknown.append(f"{document.id} in {document.index}")
        else:
            for difference in _differences(expected[document.id], document):
                result.wrong.append(f"{document.id}: {difference}")
    result.lost = [
        f"{want.id} ({want.event.get('metadata', {}).get('name')})"
        for want in expected.values()
        if want.is_required and want.id not in seen
    ]
    return result


def event_time(event: Event) -> datetime:
    """When it happened: the first believable one of its times, by the design's rule."""
    metadata = event["metadata"]
    created = parse_time(metadata["creationTimestamp"])
    managed = [
        parse_time(entry["time"]) for entry in metadata.get("managedFields", ()) if "time" in entry
    ]
    earliest, latest = created - DAY, max(managed, default=created) + DAY
    series = event.get("series") or {}
    for text in (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
    ):
        if text and earliest <= parse_time(text) <= latest:
            return parse_time(text)
    return created


def parse_time(text: str) -> datetime:
    """An RFC 3339 time in UTC with up to six digits, as the API server writes them all."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _shown(event: Event) -> Event:
    """The event as it is shipped, with the keys as the Elasticsearch output writes them."""
    shown: Event = _underscored(without_managed_fields(event))
    return shown


def _underscored(value: Any) -> Any:
    """Dots in keys become underscores, at any depth (`replace_dots` of the output)."""
    if isinstance(value, dict):
        return {key.replace(".", "_"): _underscored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_underscored(item) for item in value]
    return value


def _differences(want: Expected, document: Document) -> Iterator[str]:
    """Each field that is not as expected, with both values."""
    source = dict(document.source)
    timestamp = source.pop("@timestamp", None)
    if not _is_same_time(want.timestamp, timestamp):
        yield f"@timestamp is {timestamp}, not {want.timestamp.isoformat()}"
    if document.index != want.index:
        yield f"it is in {document.index}, not in {want.index}"
    if source.pop("id", None) != want.id:
        yield "id is not the document's"
    verb = source.pop("verb", None)
    if verb not in want.verbs:
        yield f"verb is {verb}, not {' or '.join(sorted(want.verbs))}"
    yield from _unlike("event", want.event, source.pop("event", None))
    old_event = source.pop("old_event", None)
    if old_event not in want.old_events:
        yield from _unlike("old_event", want.old_events[0], old_event)
    if source:
        yield f"unexpected fields: {', '.join(source)}"


def _is_same_time(want: datetime, text: object) -> bool:
    """Whether they agree to the last digit that is written, milliseconds at least."""
    if not isinstance(text, str) or not text.endswith("Z"):
        return False
    whole, _, digits = text[:-1].partition(".")
    wanted = f"{want:%Y-%m-%dT%H:%M:%S}"
    fraction = f"{want.microsecond:06d}000"
    return whole == wanted and len(digits) >= 3 and fraction.startswith(digits)


def _unlike(path: str, want: Any, found: Any) -> Iterator[str]:
    """The places where two values part, by path."""
    if isinstance(want, dict) and isinstance(found, dict):
        for key in {**want, **found}:
            if key not in found:
                yield f"{path}.{key} is missing"
            elif key not in want:
                yield f"{path}.{key} should not be there"
            else:
                yield from _unlike(f"{path}.{key}", want[key], found[key])
    elif want != found or type(want) is not type(found):
        yield f"{path} is {_short(found)}, not {_short(want)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}… ({len(text)} characters)"
