"""Lists in pages, the probes, and the search for the oldest revision that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventrouter.capture.lister import PAGE_SIZE, History, Lister, bisect
from eventrouter.capture.retry import Retry
from eventrouter.clock import Backoff
from eventrouter.errors import AheadOfServer, ApiError, Expired
from eventrouter.kube.parsing import Page
from eventrouter.kube.schema import OddEvent, odd_event
from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeStop

HICCUP = ApiError("the API server answered 500", reason="server_error", status=500)
THROTTLED = ApiError("slow down", reason="throttled", status=429, retry_after=17.0)


def page(*names: str, version: str = "50", token: str | None = None) -> Page:
    return Page([odd_event({"name": name}) for name in names], version, token)


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
    ) -> Page:
        self.asked.append(Asked(namespace, limit, resource_version, continue_token, selected))
        answer = self._answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer


def lister_of(server: Any, *, stop: FakeStop | None = None, namespace: str = "shop") -> Lister:
    stop = stop or FakeStop()
    retry = Retry(namespace=namespace, backoff=Backoff(), stop=stop, metrics=Metrics())
    return Lister(namespace=namespace, get_page=server, retry=retry, stop=stop)


def names(pages: list[Page]) -> list[str]:
    return [
        event.whole["name"] for one in pages for event in one.items if isinstance(event, OddEvent)
    ]


# --- pages


def test_all_pages_come_in_order_by_their_tokens() -> None:
    server = FakeServer(page("a", token="t1"), page("b", token="t2"), page("c"))

    pages = list(lister_of(server).pages())

    assert names(pages) == ["a", "b", "c"]
    assert [asked.continue_token for asked in server.asked] == [None, "t1", "t2"]
    assert {(asked.namespace, asked.limit, asked.selected) for asked in server.asked} == {
        ("shop", PAGE_SIZE, True)
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


def test_a_list_whose_token_expired_goes_on_with_what_the_server_offers() -> None:
    """The pages that came already need not come again."""
    expired = Expired("the token expired", continue_token="newer")
    server = FakeServer(page("a", token="t1"), expired, page("b", version="60"))

    pages = list(lister_of(server).pages())

    assert names(pages) == ["a", "b"]
    assert [asked.continue_token for asked in server.asked] == [None, "t1", "newer"]


def test_an_exact_list_whose_token_expired_is_expired() -> None:
    """Going on at a newer revision would leave out what changed in between."""
    expired = Expired("the token expired", continue_token="newer")
    server = FakeServer(page("a", token="t1"), expired)
    pages = lister_of(server).pages(resource_version="40")
    next(pages)

    with pytest.raises(Expired):
        next(pages)


def test_a_list_that_expired_without_an_offer_is_expired() -> None:
    with pytest.raises(Expired):
        list(lister_of(FakeServer(Expired("gone"))).pages())


def test_a_revision_that_the_server_never_had_is_not_asked_for_again() -> None:
    server = FakeServer(AheadOfServer("too large"))

    with pytest.raises(AheadOfServer):
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
        (Expired("compacted"), History.COMPACTED),
        (AheadOfServer("too large"), History.WENT_BACK),
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
            if int(query["resource_version"]) < 700:
                raise Expired("compacted")
            return page("a")

    assert lister_of(Compacted()).oldest_held(1, 1000) == 700


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
    ("answers", "nearest"),
    [
        pytest.param([page()], "40", id="held"),
        pytest.param([AheadOfServer("never there")], None, id="ahead"),
        pytest.param(
            [Expired("gone"), page(version="43"), Expired("gone"), page()], "42", id="compacted"
        ),
    ],
)
def test_the_nearest_revision_is_itself_or_the_oldest_left_after_it(
    answers: list[Any], nearest: str | None
) -> None:
    assert lister_of(FakeServer(*answers)).nearest_held("40") == nearest
