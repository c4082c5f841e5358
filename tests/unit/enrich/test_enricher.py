"""Look-ups in the background: what an answer or an error means for the next ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from eventrouter.enrich.cache import State
from eventrouter.enrich.enricher import TTL_SECONDS, Enricher
from eventrouter.enrich.kinds import KNOWN, Kinds
from eventrouter.enrich.owners import Walk
from eventrouter.enrich.subject import Target
from eventrouter.errors import ApiError
from eventrouter.kube.metadata import Metadata, OwnerRef
from eventrouter.ops.metrics import ENRICHED, Metrics
from tests.support.clock import FakeClock

POD = Target(KNOWN["Pod"], "shop", "api-1", "uid-1")
OTHER = Target(KNOWN["Pod"], "shop", "api-2", "uid-2")


class FakeApi:
    """Answers at once with what a test put there; None for an object that is gone."""

    def __init__(self) -> None:
        self.objects: dict[str, Metadata | ApiError] = {}
        self.asked: list[str] = []

    def get(self, path: str) -> Metadata | None:
        self.asked.append(path)
        found = self.objects.get(path)
        if isinstance(found, ApiError):
            raise found
        return found


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


Look = Callable[..., Walk]


@pytest.fixture
def enricher(api: FakeApi, clock: FakeClock, metrics: Metrics) -> Enricher:
    return Enricher(
        api=api,
        kinds=Kinds(KNOWN.values()),
        label_keys=("*",),
        annotation_keys=(),
        cache_bytes=100_000,
        per_second=10,
        add_metrics=metrics.add_enrichment,
        clock=clock,
    )


@pytest.fixture
def look(enricher: Enricher) -> Look:
    """Look up an object at once, in this thread."""

    def now(target: Target = POD) -> Walk:
        with enricher._changed:
            enricher._enqueue(target)
            waiting = list(enricher._waiting)
            enricher._waiting.clear()
        for subject in waiting:
            enricher._look_up(subject)
            enricher._open.discard(subject.key)
        return enricher.see(target, "")

    return now


def state_of(way: Walk) -> str:
    return way.entry.state if way.entry else "nothing"


def test_what_was_found_is_asked_for_again_after_its_time(
    api: FakeApi, look: Look, clock: FakeClock
) -> None:
    api.objects[POD.path] = Metadata("uid-1", labels={"app": "a"})
    first = look()
    api.objects[POD.path] = Metadata("uid-1", labels={"app": "b"})
    assert look() == first
    clock.advance(TTL_SECONDS)

    again = look()

    assert len(api.asked) == 2
    assert again.entry
    assert first.entry
    assert again.entry.labels != first.entry.labels


@pytest.mark.parametrize(
    "later", [None, Metadata("uid-9"), ApiError("no", reason="forbidden", status=403)]
)
def test_an_object_that_is_gone_keeps_what_was_known(
    api: FakeApi, look: Look, clock: FakeClock, later: Metadata | ApiError | None
) -> None:
    api.objects[POD.path] = Metadata("uid-1", labels={"app": "a"})
    before = look()
    del api.objects[POD.path]
    if later is not None:
        api.objects[POD.path] = later
    clock.advance(TTL_SECONDS)

    after = look()

    assert before.entry
    assert after.entry
    assert (after.entry.state, after.entry.labels) == ("found", before.entry.labels)


def test_what_was_not_found_is_remembered_for_as_long(
    api: FakeApi, look: Look, clock: FakeClock
) -> None:
    assert [state_of(look()), state_of(look())] == ["gone", "gone"]
    assert len(api.asked) == 1
    clock.advance(TTL_SECONDS)
    look()
    assert len(api.asked) == 2


def test_a_right_that_is_missing_is_tried_again_after_a_minute(
    api: FakeApi, look: Look, clock: FakeClock
) -> None:
    api.objects[POD.path] = ApiError("no", reason="forbidden", status=403)
    assert state_of(look()) == "forbidden"
    assert state_of(look(OTHER)) == "forbidden"
    assert len(api.asked) == 1
    api.objects = {POD.path: Metadata("uid-1"), OTHER.path: Metadata("uid-2")}
    clock.advance(61)

    assert [state_of(look()), state_of(look(OTHER))] == ["found", "found"]


def test_a_failure_pauses_all_and_a_server_may_ask_for_more(
    api: FakeApi, look: Look, clock: FakeClock
) -> None:
    api.objects[POD.path] = ApiError("busy", reason="throttled", status=429, retry_after=30)
    look()
    clock.advance(29)
    look(OTHER)
    assert len(api.asked) == 1
    clock.advance(2)
    look(OTHER)
    assert len(api.asked) == 2


def test_an_answer_that_cannot_be_read_is_left_alone_for_a_while(api: FakeApi, look: Look) -> None:
    api.objects[POD.path] = ApiError("rubbish", reason="bad_line")
    assert [state_of(look()), state_of(look())] == ["unknown", "unknown"]
    assert len(api.asked) == 1


def test_more_than_a_few_labels_are_left_out(api: FakeApi, look: Look) -> None:
    """A record stays one of some kilobytes, whatever somebody writes onto an object."""
    api.objects[POD.path] = Metadata("uid-1", labels={f"k{n}": "v" * 60 for n in range(1000)})

    way = look()

    assert way.entry
    assert (way.entry.state, way.entry.labels) == ("found", b"")


def test_an_owner_with_a_name_that_no_object_has_is_left_out(api: FakeApi, look: Look) -> None:
    """The API server takes owner references of any length."""
    huge = OwnerRef("ReplicaSet", "x" * 1_000_000, "uid-9", api_version="apps/v1")
    api.objects[POD.path] = Metadata("uid-1", owner_references=[huge])

    way = look()

    assert state_of(way) == "found"
    assert way.owner is None


def test_refusals_of_namespaces_that_are_gone_are_forgotten(
    api: FakeApi, look: Look, enricher: Enricher, clock: FakeClock
) -> None:
    """A cluster may make a namespace for each test that it runs."""
    for number in range(10):
        target = Target(KNOWN["Pod"], f"run-{number}", "api-1", f"uid-{number}")
        api.objects[target.path] = ApiError("no right", reason="forbidden", status=403)
        look(target)
        clock.advance(TTL_SECONDS)

    assert len(enricher._refused) == 1


def test_every_result_of_a_record_is_counted_from_the_start() -> None:
    """increase() sees nothing of a series whose first sample is already a 1."""
    states = set(get_args(State)) - {"unknown"}

    assert set(ENRICHED) == states | {"partial", "unnamed", "throttled", "late", "failed"}


def test_the_owner_that_controls_is_the_owner() -> None:
    plain, controlling = OwnerRef("A", "a", "1"), OwnerRef("B", "b", "2", controller=True)

    assert Metadata("u", owner_references=[plain, controlling]).owner is controlling
    assert Metadata("u", owner_references=[plain]).owner is plain
    assert Metadata("u").owner is None
