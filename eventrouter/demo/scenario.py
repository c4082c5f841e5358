"""The life of a small cluster: several stories at a time, written to a store as they happen."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from eventrouter.clock import Clock, Stop, SystemClock
from eventrouter.demo.cast import Event
from eventrouter.demo.stories import Narrator
from eventrouter.standins.apiserver.objects import microseconds, seconds
from eventrouter.standins.apiserver.store import EventStore

_AT_A_TIME = 4  # stories
_PAST = timedelta(minutes=55)
_TTL = timedelta(hours=1)  # kube-apiserver --event-ttl
_COMPACTION = timedelta(minutes=5)  # kube-apiserver --etcd-compaction-interval


def happenings(chance: random.Random) -> Iterator[tuple[float, Event]]:
    """Events without end, each with the seconds since the previous one: about one on average.

    The same `chance` gives the same events. An event that comes again has happened again.
    """
    narrator = Narrator(chance)
    stories = [narrator.story() for _ in range(_AT_A_TIME)]
    while True:
        number = chance.randrange(_AT_A_TIME)
        event = next(stories[number], None)
        if event is None:
            stories[number] = narrator.story()
        else:
            yield chance.uniform(0.2, 1.8), event


class _Written(NamedTuple):
    at: datetime
    times: int


class Chronicle:
    """Writes happenings to a store as their reporters do, and has the store forget old ones."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._written: OrderedDict[tuple[str, str], _Written] = OrderedDict()  # oldest first
        self._compacted_at = datetime.min.replace(tzinfo=UTC)
        self._compact_to = store.revision

    def write(self, event: Event, *, at: datetime) -> None:
        """Create the event, or count it once more if it was written before."""
        key = event["metadata"]["namespace"], event["metadata"]["name"]
        is_series = "action" in event  # written through events.k8s.io; all others are core/v1
        before = self._written.pop(key, None)
        times = 1 if before is None else before.times + 1
        if before is None and is_series:
            self._store.create(event | {"eventTime": microseconds(at)}, at=at)
        elif before is None:
            first = {"firstTimestamp": seconds(at), "lastTimestamp": seconds(at), "count": 1}
            self._store.create(event | first, at=at)
        elif is_series:
            series = {"count": times, "lastObservedTime": microseconds(at)}
            self._store.update(*key, {"series": series}, at=at)
        else:
            self._store.update(*key, {"count": times, "lastTimestamp": seconds(at)}, at=at)
        self._written[key] = _Written(at, times)

    def forget(self, *, at: datetime) -> None:
        """Delete what was not written for an hour, and compact the history every five minutes."""
        old = []
        while self._written and next(iter(self._written.values())).at <= at - _TTL:
            old.append(self._written.popitem(last=False)[0])
        if old:
            self._store.expire(old)
        if self._compacted_at <= at - _COMPACTION:
            self._store.compact(self._compact_to)
            self._compacted_at, self._compact_to = at, self._store.revision


def play(
    store: EventStore,
    *,
    chance: random.Random,
    stop: Stop,
    clock: Clock | None = None,
    pace: float = 3.0,
    already: int = 60,
) -> None:
    """Write to the store, about `pace` times a second, until `stop` is set.

    First, it writes `already` events that have happened within the last hour.
    """
    clock = clock or SystemClock()
    chronicle, coming = Chronicle(store), happenings(chance)
    past: list[tuple[float, Event]] = []
    while len({event["metadata"]["name"] for _, event in past}) < already:
        past.append(next(coming))
    start, whole = _time(clock) - _PAST, sum(gap for gap, _ in past)
    passed = 0.0
    for gap, event in past:
        passed += gap
        chronicle.write(event, at=start + passed / whole * _PAST)
    for gap, event in coming:
        if stop.wait(gap / pace):
            return
        chronicle.write(event, at=_time(clock))
        chronicle.forget(at=_time(clock))


def _time(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.time(), UTC)
