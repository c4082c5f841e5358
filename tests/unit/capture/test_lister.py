"""Lists in pages, the probes, and the search for the oldest revision that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventrouter.capture.lister import (
    FIRST_PAGE_EVENTS,
    MAX_PAGE_EVENTS,
    PAGE_BYTES,
    History,
    Lister,
    bisect,
    next_limit,
)
from eventrouter.capture.retry import Retry
from eventrouter.capture.vitals import Vitals
from eventrouter.clock import Backoff
from eventrouter.errors import ApiError, PageTooLarge, ResourceExpired, ResourceVersionTooLarge
from eventrouter.kube.parsing import Page
from eventrouter.kube.schema import UntypedEvent, untyped_event
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock, FakeStop

HICCUP = ApiError("the API server answered 500", reason="server_error", status=500)
THROTTLED = ApiError("slow down", reason="throttled", status=429, retry_after=17.0)


def page(*names: str, version: str = "50", token: str | None = None) -> Page:
    return Page([untyped_event({"name": name}) for name in names], version, token)


@dataclass(frozen=True)
class Asked:
    """What the API server was asked for."""

    namespace: str
    limit: int
    resource_version: str | None
    continue_token: str | None
    selected: bool


class FakeServer:
    """Gives the answers it was told, one a request, and keeps the requests."""

    def __init__(self, *answers: Page | ApiError) -> None:
        self._answers = list(answers)
        self.asked: list[Asked] = []

    def __call__(
        self,
        namespace: str,
        *,
        limit: int,
        resource_version: str | None = None,
        continue_token: str | None = None,
        selected: bool = True,
        max_bytes: int = 0,
    ) -> Page:
        self.asked.append(Asked(namespace, limit, resource_version, continue_token, selected))
        answer = self._answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer


def lister_of(server: Any, *, stop: FakeStop | None = None, namespace: str = "shop") -> Lister:
    stop = stop or FakeStop()
    metrics, clock = Metrics(), FakeClock()
    return Lister(
        namespace=namespace,
        get_page=server,
        retry=Retry(namespace=namespace, backoff=Backoff(), stop=stop, metrics=metrics),
        vitals=Vitals(
            namespace=namespace,
            thread=Pulse(clock),
            link=Pulse(clock),
            metrics=metrics,
            clock=clock,
        ),
        stop=stop,
    )


def names(pages: list[Page]) -> list[str]:
    return [
        event.raw["name"] for one in pages for event in one.items if isinstance(event, UntypedEvent)
    ]


# --- pages


def test_all_pages_come_in_order_by_their_tokens() -> None:
    server = FakeServer(page("a", token="t1"), page("b", token="t2"), page("c"))

    pages = list(lister_of(server).pages())

    assert names(pages) == ["a", "b", "c"]
    assert [asked.continue_token for asked in server.asked] == [None, "t1", "t2"]
    assert {(asked.namespace, asked.limit, asked.selected) for asked in server.asked} == {
        ("shop", FIRST_PAGE_EVENTS, True)
    }


def test_an_exact_revision_is_asked_for_once_and_then_lives_in_the_token() -> None:
    """The API server refuses a request that has both."""
    server = FakeServer(page("a", token="t1"), page("b"))

    list(lister_of(server).pages(resource_version="40"))

    assert [(asked.resource_version, asked.continue_token) for asked in server.asked] == [
        ("40", None),
        (None, "t1"),
    ]


def test_an_empty_list_is_one_empty_page() -> None:
    """Its revision is what a watch starts from."""
    pages = list(lister_of(FakeServer(page(version="7"))).pages())

    assert [one.resource_version for one in pages] == ["7"]


@pytest.mark.parametrize("revision", [None, "40"])
def test_a_list_whose_token_expired_goes_on_with_what_the_server_offers(
    revision: str | None,
) -> None:
    """The pages that came already need not come again, and so every list comes to its end."""
    expired = ResourceExpired("the token expired", continue_token="newer")
    server = FakeServer(page("a", token="t1"), expired, page("b", version="60"))

    pages = list(lister_of(server).pages(resource_version=revision))

    assert names(pages) == ["a", "b"]
    assert [asked.continue_token for asked in server.asked] == [None, "t1", "newer"]
    assert [asked.resource_version for asked in server.asked] == [revision, None, None]


def test_an_exact_list_that_cannot_begin_is_expired() -> None:
    with pytest.raises(ResourceExpired):
        list(lister_of(FakeServer(ResourceExpired("gone"))).pages(resource_version="40"))


def test_a_list_that_expired_without_an_offer_is_expired() -> None:
    with pytest.raises(ResourceExpired):
        list(lister_of(FakeServer(ResourceExpired("gone"))).pages())


def test_a_revision_that_the_server_never_had_is_not_asked_for_again() -> None:
    server = FakeServer(ResourceVersionTooLarge("too large"))

    with pytest.raises(ResourceVersionTooLarge):
        list(lister_of(server).pages(resource_version="40"))

    assert len(server.asked) == 1


def test_a_hiccup_costs_one_page_and_not_the_list() -> None:
    server = FakeServer(page("a", token="t1"), HICCUP, HICCUP, page("b"))
    stop = FakeStop()

    pages = list(lister_of(server, stop=stop).pages())

    assert names(pages) == ["a", "b"]
    assert [asked.continue_token for asked in server.asked] == [None, "t1", "t1", "t1"]
    assert len(stop.waits) == 2


def test_between_the_tries_it_waits_as_long_as_the_server_asks() -> None:
    stop = FakeStop()

    list(lister_of(FakeServer(THROTTLED, page("a")), stop=stop).pages())

    assert [wait is not None and wait >= 17.0 for wait in stop.waits] == [True]


def test_after_some_tries_a_list_is_given_up() -> None:
    """Whoever asked for it then starts over, and says so."""
    server = FakeServer(*[HICCUP] * 100)
    stop = FakeStop()

    with pytest.raises(ApiError) as caught:
        list(lister_of(server, stop=stop).pages())

    assert caught.value is HICCUP
    assert 2 <= len(server.asked) <= 10
    assert len(stop.waits) == len(server.asked) - 1


def test_each_page_has_its_own_tries() -> None:
    hiccups = [HICCUP] * 4
    server = FakeServer(*hiccups, page("a", token="t1"), *hiccups, page("b"))

    assert names(list(lister_of(server).pages())) == ["a", "b"]


def test_stop_ends_a_list_between_its_pages() -> None:
    stop = FakeStop()
    server = FakeServer(page("a", token="t1"), page("b"))
    pages = lister_of(server, stop=stop).pages()
    next(pages)

    stop.set()

    assert list(pages) == []
    assert len(server.asked) == 1


def test_stop_ends_the_tries() -> None:
    server = FakeServer(*[HICCUP] * 9)

    with pytest.raises(ApiError):
        list(lister_of(server, stop=FakeStop(after_waits=1)).pages())

    assert len(server.asked) == 2


# --- probes


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (page("a"), History.HELD),
        (ResourceExpired("compacted"), History.COMPACTED),
        (ResourceVersionTooLarge("too large"), History.WENT_BACK),
        (PageTooLarge("a large event"), History.HELD),
    ],
)
def test_a_probe_tells_what_is_left_of_the_history(
    answer: Page | ApiError, expected: History
) -> None:
    """One item at exactly this revision, without the selector: about the history, nothing else."""
    server = FakeServer(answer)

    assert lister_of(server).probe("40") is expected

    assert server.asked == [Asked("shop", 1, "40", None, selected=False)]


def test_a_probe_that_fails_says_nothing_about_the_history() -> None:
    with pytest.raises(ApiError) as caught:
        lister_of(FakeServer(HICCUP)).probe("40")

    assert caught.value is HICCUP


def test_the_newest_revision_is_that_of_any_list() -> None:
    server = FakeServer(page("a", version="123"))

    assert lister_of(server).newest() == 123

    assert server.asked == [Asked("shop", 1, None, None, selected=False)]


def test_the_oldest_revision_is_found_by_probes() -> None:
    class Compacted:
        """Holds everything from 700 on."""

        def __call__(self, namespace: str, **query: Any) -> Page:
            if int(query.get("resource_version", 1000)) < 700:
                raise ResourceExpired("compacted")
            return page("a", version="1000")

    assert lister_of(Compacted()).nearest_held("1") == (History.COMPACTED, "700")


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.data())
def test_the_search_finds_exactly_the_oldest_that_is_held_with_few_probes(
    expired: int, distance: int, data: st.DataObject
) -> None:
    newest = expired + distance
    oldest = data.draw(st.integers(expired + 1, newest))
    probed = []

    def probe(revision: int) -> History:
        probed.append(revision)
        return History.COMPACTED if revision < oldest else History.HELD

    assert bisect(expired, newest, probe) == oldest

    assert len(probed) <= math.ceil(math.log2(distance + 1))
    assert all(expired < revision < newest for revision in probed)


@given(st.integers(0, 1000), st.integers(0, 1000), st.data())
def test_the_search_ends_when_the_history_is_compacted_under_it(
    expired: int, distance: int, data: st.DataObject
) -> None:
    """Compaction only moves up. The answer may be gone then, but is never one known to be."""
    newest = expired + distance
    assume(distance > 0)
    oldest = expired + 1
    seen_compacted = expired

    def probe(revision: int) -> History:
        nonlocal oldest, seen_compacted
        oldest = data.draw(st.integers(oldest, newest))
        if revision < oldest:
            seen_compacted = max(seen_compacted, revision)
            return History.COMPACTED
        return History.HELD

    assert seen_compacted < bisect(expired, newest, probe) <= newest


def test_nothing_is_probed_where_nothing_lies_between() -> None:
    def probe(revision: int) -> History:
        raise AssertionError(revision)

    assert bisect(41, 42, probe) == 42
    assert bisect(42, 42, probe) == 42


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        pytest.param([page()], (History.HELD, "40"), id="held"),
        pytest.param(
            [ResourceExpired("gone"), page(version="43"), ResourceExpired("gone"), page()],
            (History.COMPACTED, "42"),
            id="compacted",
        ),
        pytest.param(
            [ResourceVersionTooLarge("never there"), page()], (History.WENT_BACK, "1"), id="ahead"
        ),
        pytest.param(
            [
                ResourceVersionTooLarge("never there"),
                ResourceExpired("gone"),
                page(version="3"),
                page(),
            ],
            (History.WENT_BACK, "2"),
            id="ahead and compacted",
        ),
    ],
)
def test_the_nearest_revision_is_itself_or_the_oldest_left_after_it(
    answers: list[Any], place: tuple[History, str]
) -> None:
    """Or the oldest of all, where the server has never been there."""
    assert lister_of(FakeServer(*answers)).nearest_held("40") == place


def test_a_server_without_a_history_is_listed_where_it_is() -> None:
    ahead = ResourceVersionTooLarge("never there")

    assert lister_of(FakeServer(ahead, ahead, page(version="0"))).nearest_held("40") == (
        History.WENT_BACK,
        "0",
    )


# --- the size of pages


@pytest.mark.parametrize(
    ("limit", "events", "body_bytes", "next_one"),
    [
        pytest.param(25, 25, 25 * 1024, 50, id="small events: twice as many"),
        pytest.param(200, 200, 200 * 1024, MAX_PAGE_EVENTS, id="never more than the most"),
        pytest.param(100, 100, 2 * PAGE_BYTES, 50, id="twice the bytes: half as many"),
        pytest.param(3, 3, 3 * PAGE_BYTES, 1, id="one event a page"),
        pytest.param(1, 1, 9 * PAGE_BYTES, 1, id="never none"),
        pytest.param(1, 1, 1000, 2, id="up again, by and by"),
        pytest.param(25, 0, 60, 25, id="an empty page says nothing"),
        pytest.param(250, 7, 7 * 1024, MAX_PAGE_EVENTS, id="the last page"),
    ],
)
def test_the_next_page_is_as_large_as_the_bytes_of_this_one_allow(
    limit: int, events: int, body_bytes: int, next_one: int
) -> None:
    assert next_limit(limit, Page((), "1", None, events, body_bytes)) == next_one


def test_a_page_with_too_many_bytes_is_asked_for_again_with_half_as_many_events() -> None:
    """At once, and however often: it is no failure of the server's."""
    too_large = PageTooLarge("too large")
    stop = FakeStop()
    server = FakeServer(page("a", token="t1"), *[too_large] * 4, page("b"))

    pages = list(lister_of(server, stop=stop).pages())

    assert names(pages) == ["a", "b"]
    assert [asked.limit for asked in server.asked] == [25, 25, 12, 6, 3, 1]
    assert {asked.continue_token for asked in server.asked[1:]} == {"t1"}
    assert stop.waits == []


def test_a_single_event_that_is_too_large_is_an_error() -> None:
    server = FakeServer(*[PageTooLarge("too large")] * 9)

    with pytest.raises(PageTooLarge):
        list(lister_of(server).pages())

    assert [asked.limit for asked in server.asked] == [25, 12, 6, 3, 1]
