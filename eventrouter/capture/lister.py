"""Lists of events in pages of a bounded size, and probes for what the API server still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple, Protocol

from eventrouter.capture.retry import Retry
from eventrouter.capture.vitals import Vitals
from eventrouter.clock import Stop
from eventrouter.errors import ApiError, PageTooLarge, ResourceExpired, ResourceVersionTooLarge
from eventrouter.kube.parsing import Page
from eventrouter.kube.schema import MAX_EVENT_BYTES

# The first page, and the largest. Small pages cost the API server little (priority and fairness
# charges by the page's size), and more than 250 ordinary events in one save nothing.
FIRST_PAGE_EVENTS = 25
MAX_PAGE_EVENTS = 250
# What a page should come to, by the size of the events before it, and what it may come to. A larger
# one is dropped and asked for again with a lower limit, unless it is of a single event.
PAGE_BYTES = 1024 * 1024
MAX_PAGE_BYTES = 4 * 1024 * 1024
# More of the answer to a probe is not read.
_PROBE_BYTES = 64 * 1024
_TRIES = 5
# Before any revision that has an event in it: the oldest one that is held is the nearest to it.
OLDEST = "1"


class History(Enum):
    """What the API server says about a revision."""

    HELD = "held"  # every change since can still be watched
    COMPACTED = "compacted"  # what came right after may be gone (410)
    WENT_BACK = "went_back"  # the server has never been there: restored, or another one (504)


class Place(NamedTuple):
    """What the API server says about a revision, and the nearest one that it holds.

    That is the revision itself, or the oldest after it, or the oldest of all if the history went
    back.
    """

    history: History
    nearest: str


class GetPage(Protocol):
    """Asks the API server for one page. May raise ApiError, also of the kinds in `errors`."""

    def __call__(
        self,
        namespace: str,
        *,
        limit: int,
        resource_version: str | None = None,
        continue_token: str | None = None,
        selected: bool = True,
        max_bytes: int = ...,
    ) -> Page: ...


class Lister:
    """Lists the events of one namespace ("" for the whole cluster)."""

    def __init__(
        self, *, namespace: str, get_page: GetPage, retry: Retry, vitals: Vitals, stop: Stop
    ) -> None:
        self._namespace = namespace
        self._get_page = get_page
        self._retry = retry
        self._vitals = vitals
        self._stop = stop
        self._limit = FIRST_PAGE_EVENTS

    def pages(self, *, resource_version: str | None = None) -> Iterator[Page]:
        """All pages of a list: of the newest revision, or of exactly one.

        When the list takes longer than the API server holds its revision, the other pages are of a
        newer one, so that every list comes to its end. Raises ResourceExpired if it cannot begin.
        """
        token: str | None = None
        while not self._stop.is_set():
            try:
                page = self._page(resource_version, token)
            except ResourceExpired as error:
                if error.continue_token is None:
                    raise
                self._retry.wait_after(error)
                token = error.continue_token
                continue
            yield page
            token = page.continue_token
            if token is None:
                return

    def newest(self) -> int:
        """The API server's revision now."""
        self._vitals.turned()
        return int(self._get_page(self._namespace, limit=1, selected=False).resource_version)

    def probe(self, resource_version: str) -> History:
        """Ask for one item at exactly this revision: the cheapest question that tells 410 from 504.

        Without the selector, so that the answer is about the history and nothing else.
        """
        self._vitals.turned()
        try:
            self._get_page(
                self._namespace,
                limit=1,
                resource_version=resource_version,
                selected=False,
                max_bytes=_PROBE_BYTES,
            )
        except PageTooLarge:  # an answer all the same, of which only the status is wanted
            return History.HELD
        except ResourceExpired:
            return History.COMPACTED
        except ResourceVersionTooLarge:
            return History.WENT_BACK
        return History.HELD

    def nearest_held(self, resource_version: str) -> Place:
        """Find where to go on from this revision."""
        history = self.probe(resource_version)
        if history is History.HELD:
            return Place(history, resource_version)
        if history is History.WENT_BACK:
            if resource_version == OLDEST:  # a server without any history
                return Place(history, str(self.newest()))
            return Place(history, self.nearest_held(OLDEST).nearest)
        oldest_held = bisect(
            int(resource_version), self.newest(), lambda revision: self.probe(str(revision))
        )
        return Place(history, str(oldest_held))

    def _page(self, resource_version: str | None, token: str | None) -> Page:
        """One page, tried a few times: after a hiccup the pages before it need not come again."""
        tries = 0
        while True:
            self._vitals.turned()
            try:
                page = self._get_page(
                    self._namespace,
                    limit=self._limit,
                    resource_version=resource_version if token is None else None,
                    continue_token=token,
                    max_bytes=MAX_PAGE_BYTES if self._limit > 1 else MAX_EVENT_BYTES,
                )
            except (ResourceExpired, ResourceVersionTooLarge):
                raise
            except PageTooLarge:
                if self._limit == 1:
                    raise
                self._limit //= 2
            except ApiError as error:
                tries += 1
                if tries == _TRIES or self._stop.is_set():
                    raise
                self._retry.wait_after(error)
            else:
                self._retry.succeeded()
                self._vitals.answered()
                self._limit = next_limit(self._limit, page)
                return page


def next_limit(limit: int, page: Page) -> int:
    """How many events to ask for after this page: as many as should come to PAGE_BYTES. Pure.

    At most twice as many as before, since the events before need not be like those to come.
    """
    if not page.events:
        return limit
    fitting = PAGE_BYTES * page.events // max(page.body_bytes, 1)
    return max(1, min(fitting, limit * 2, MAX_PAGE_EVENTS))


def bisect(expired: int, newest: int, probe: Callable[[int], History]) -> int:
    """The oldest revision held, between one that is compacted and the newest. Pure but for `probe`.

    resourceVersions are decimal and ordered (KEP-5504), and every number between two of them is
    a revision that can be listed. Some 17 probes for each 100,000. Compaction only moves up: if it
    moves meanwhile, the result may be gone by the time it is used. Then ask again.
    """
    low, high = expired, newest
    while high - low > 1:
        middle = (low + high) // 2
        if probe(middle) is History.COMPACTED:
            low = middle
        else:
            high = middle
    return high


def known_states(page_revision: str, watch_from: str) -> int | None:
    """Which items of a page are the states at which the watch begins: all (None), or those up to
    this revision.

    On a page of a later revision those are the items that have not changed in between. On one of
    an earlier revision any may have.
    """
    if page_revision == watch_from:
        return None
    return int(watch_from) if int(page_revision) > int(watch_from) else 0
