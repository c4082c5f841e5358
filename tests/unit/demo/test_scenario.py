from __future__ import annotations

import json
import random
import threading
from collections import Counter
from datetime import datetime
from itertools import islice

import pytest

from eventrouter.demo.scenario import happenings, play
from eventrouter.demo.stories import Narrator
from eventrouter.standins.apiserver.store import Compacted, EventStore

NOON = datetime.fromisoformat("2026-03-01T12:00:00Z").timestamp()


class FakeTime:
    """A clock and a stop in one: waiting passes time at once, until the end."""

    def __init__(self, *, seconds):
        self.now = NOON
        self.end = NOON + seconds

    def time(self):
        return self.now

    def monotonic(self):
        return self.now

    def is_set(self):
        return self.now >= self.end

    def wait(self, timeout=None):
        self.now += timeout or 0.0
        return self.is_set()


def played(store, *, seconds, **options):
    times = FakeTime(seconds=seconds)
    play(store, chance=random.Random(7), stop=times, clock=times, **options)


def events(store):
    return [json.loads(item) for item in store.page().items]


def test_the_same_chance_tells_the_same():
    def told(seed):
        return list(islice(happenings(random.Random(seed)), 300))

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_the_first_list_has_an_hour_of_events():
    store = EventStore()

    played(store, seconds=0)

    found = events(store)
    written = sorted(event["metadata"]["creationTimestamp"] for event in found)
    assert len(found) == 60
    assert written[0] < "2026-03-01T11:10"
    assert "2026-03-01T11:45" < written[-1] <= "2026-03-01T12:00:00Z"


def test_new_events_come_at_a_pace_a_person_can_follow():
    store = EventStore()

    played(store, seconds=100, already=0)

    assert 250 <= store.revision - 1000 <= 350


def test_repeats_are_counted_in_the_event_and_the_schedulers_in_a_series():
    store = EventStore()

    played(store, seconds=300)

    counted = [event for event in events(store) if event.get("count", 0) > 3]
    series = [event for event in events(store) if "series" in event]
    assert all(event["firstTimestamp"] < event["lastTimestamp"] for event in counted)
    assert {event["reason"] for event in counted} >= {"BackOff", "Unhealthy"}
    assert {event["reportingComponent"] for event in series} == {"default-scheduler"}
    for event in series:
        assert event["series"]["count"] > 1
        assert event["series"]["lastObservedTime"] > event["eventTime"]
        assert event["lastTimestamp"] is None
        assert event["source"] == {}


def test_a_day_of_stories_has_everything_in_it():
    store = EventStore()

    played(store, seconds=300)

    reasons = Counter(event["reason"] for event in events(store))
    assert reasons.keys() >= {
        *("BackOff", "Completed", "Created", "FailedMount", "FailedScheduling", "Killing"),
        *("NodeNotReady", "NodeReady", "Pulled", "Pulling", "ScalingReplicaSet", "Scheduled"),
        *("Started", "SuccessfulCreate", "SuccessfulRescale", "TaintManagerEviction", "Unhealthy"),
    }
    assert {event["type"] for event in events(store)} == {"Normal", "Warning"}


def test_every_story_is_told_before_one_is_told_again():
    narrator = Narrator(random.Random(3))

    for _ in range(3):
        told = {event["reason"] for _ in range(8) for event in narrator.story()}
        assert told >= {"BackOff", "Completed", "FailedMount", "FailedScheduling", "NodeReady"}


def test_one_object_has_one_uid_in_all_events():
    store = EventStore()

    played(store, seconds=300)

    uids: dict[tuple[str, ...], set[str]] = {}
    for event in events(store):
        involved = event["involvedObject"]
        key = involved["kind"], involved.get("namespace"), involved["name"]
        uids.setdefault(key, set()).add(involved["uid"])
    assert all(len(found) == 1 for found in uids.values())


def test_old_events_expire_and_old_history_is_compacted_so_that_memory_stays_flat():
    store = EventStore()

    played(store, seconds=2 * 3600, pace=0.5)

    oldest = min(event["metadata"]["creationTimestamp"] for event in events(store))
    assert oldest > "2026-03-01T12:50"
    assert len(store) < 2500
    assert store.watch(store.revision - 100).take(timeout=5)
    with pytest.raises(Compacted):
        store.watch(store.revision - 1000)


def test_play_stops_when_told():
    stop = threading.Event()
    stop.set()

    play(EventStore(), chance=random.Random(), stop=stop)
