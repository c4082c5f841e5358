"""Which states Elasticsearch holds."""

from __future__ import annotations

from collections.abc import Sequence

import urllib3

from tests.e2e.ledger import State
from tests.e2e.oracle import event_time
from tests.programs import Elasticsearch

_PAGE = 500


class Held:
    """What is there by now. It asks for each state until it has seen it once."""

    def __init__(self, elasticsearch: Elasticsearch) -> None:
        self._elasticsearch = elasticsearch
        self._seen: set[str] = set()

    def has(self, states: Sequence[State]) -> bool:
        """Whether all of these are there."""
        missing = [state for state in states if state.id not in self._seen]
        for first in range(0, len(missing), _PAGE):
            page = missing[first : first + _PAGE]
            self._seen |= self._found(page)
            if any(state.id not in self._seen for state in page):
                return False
        return True

    def _found(self, states: Sequence[State]) -> set[str]:
        wanted = [{"_index": _index(state), "_id": state.id, "_source": False} for state in states]
        try:
            answer = self._elasticsearch.request("POST", "/_mget", {"docs": wanted})
        except (RuntimeError, urllib3.exceptions.HTTPError):
            return set()  # it is down, or only just up
        return {found["_id"] for found in answer["docs"] if found.get("found")}


def _index(state: State) -> str:
    return f"kube-events-{event_time(state.event):%Y.%m.%d}"
