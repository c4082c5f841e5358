"""Lists of events, in pages, and the probes for what the API server still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Protocol

from eventrouter.capture.retry import Retry
from eventrouter.clock import Stop
from eventrouter.errors import AheadOfServer, ApiError, Expired
from eventrouter.kube.parsing import Page

# Small pages cost the API server little (priority and fairness charges by the page's size) and
# keep memory flat.
PAGE_SIZE = 250
_TRIES = 5


class History(Enum):
    """What the API server says about a revision."""

    HELD = "held"  # every change since can still be watched
    COMPACTED = "compacted"  # what came right after may be gone (410)
    WENT_BACK = "went_back"  # the server has never been there: restored, or another one (504)


class GetPage(Protocol):
    """Asks the API server for one page. May raise ApiError, Expired or AheadOfServer."""

    def __call__(
        self,
        namespace: str,
        *,
        limit: int,
        resource_version: str | None = None,
        continue_token: str | None = None,
        selected: bool = True,
    ) -> Page: ...


class Lister:
    """Lists the events of one namespace ("" for the whole cluster)."""

    def __init__(self, *, namespace: str, get_page: GetPage, retry: Retry, stop: Stop) -> None:
        self._namespace = namespace
        self._get_page = get_page
        self._retry = retry
        self._stop = stop

    def pages(self, *, resource_version: str | None = None) -> Iterator[Page]:
        """All pages of a list: of the newest revision, or of exactly one.

        When the token of a list of the newest expires, it goes on with what the server offers
        instead, which is of a newer revision. A list of an exact revision raises Expired.
        """
        token: str | None = None
        while not self._stop.is_set():
            try:
                page = self._page(resource_version, token)
            except Expired as error:
                if resource_version is not None or error.continue_token is None:
                    raise
                self._retry.after(error)
                token = error.continue_token
                continue
            yield page
            token = page.continue_token
            if token is None:
                return

    def newest(self) -> int:
        """The API server's revision now."""
        return int(self._get_page(self._namespace, limit=1, selected=False).resource_version)

    def probe(self, resource_version: str) -> History:
        """Ask for one item at exactly this revision: the cheapest question that tells 410 from 504.

        Without the selector, so that the answer is about the history and nothing else.
        """
        try:
            self._get_page(
                self._namespace, limit=1, resource_version=resource_version, selected=False
            )
        except Expired:
            return History.COMPACTED
        except AheadOfServer:
            return History.WENT_BACK
        return History.HELD

    def oldest_held(self, expired: int, newest: int) -> int:
        """The oldest revision that the API server still has, given one that it does not have."""
        return bisect(expired, newest, lambda revision: self.probe(str(revision)))

    def nearest_held(self, resource_version: str) -> str | None:
        """This revision, or the oldest after it that the API server still has.

        None if the API server has never been there.
        """
        history = self.probe(resource_version)
        if history is History.COMPACTED:
            return str(self.oldest_held(int(resource_version), self.newest()))
        return resource_version if history is History.HELD else None

    def _page(self, resource_version: str | None, token: str | None) -> Page:
        """One page, tried a few times: the pages before it need not come again for a hiccup."""
        for tries_left in reversed(range(_TRIES)):
            try:
                page = self._get_page(
                    self._namespace,
                    limit=PAGE_SIZE,
                    resource_version=resource_version if token is None else None,
                    continue_token=token,
                )
            except (Expired, AheadOfServer):
                raise
            except ApiError as error:
                if not tries_left or self._stop.is_set():
                    raise
                self._retry.after(error)
            else:
                self._retry.succeeded()
                return page
        raise AssertionError("unreachable")


def bisect(expired: int, newest: int, probe: Callable[[int], History]) -> int:
    """The oldest revision held, between one that is compacted and the newest. Pure but for `probe`.

    resourceVersions are decimal and ordered (KEP-5504), and every number between two of them is
    a revision that can be listed. Some 17 probes for each 100,000. Compaction only moves up,
    so when it moves meanwhile the answer may be gone by the time it is used: then ask again.
    """
    low, high = expired, newest
    while high - low > 1:
        middle = (low + high) // 2
        if probe(middle) is History.COMPACTED:
            low = middle
        else:
            high = middle
    return high
