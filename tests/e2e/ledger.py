"""The ledger: every state of every event that the API server accepted, as it answered it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.programs import KubeClient
from tests.support.events import state_id

Event = dict[str, Any]

# events.k8s.io's name of a field -> core/v1's. All others are the same in both.
_CORE_NAMES = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
# What core/v1 writes even when it is empty, by the Go types' lack of `omitempty`.
_CORE_ALWAYS: Event = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}


@dataclass(frozen=True, slots=True)
class State:
    """One state of one event, in core/v1 form with its managedFields, less kind and apiVersion."""

    uid: str
    revision: int
    event: Event
    previous: State | None

    @property
    def id(self) -> str:
        """The id of its document."""
        return f"{self.uid}-{self.revision}"


class Ledger:
    """Keeps what was accepted. Thread-safe, if each event is changed by one thread at a time:
    the order of answers is then the order of its states.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, State] = {}
        self._deleted: dict[str, int] = {}
        self.states: list[State] = []

    def record(self, answer: Event) -> State:
        """Take down the answer to a create or an update, in either group's form.

        An update that changed nothing made no new state: the one it met is returned.
        """
        event = as_core(answer)
        metadata = event["metadata"]
        uid, revision = metadata["uid"], int(metadata["resourceVersion"])
        with self._lock:
            previous = self._newest.get(uid)
            if previous is not None and previous.revision == revision:
                return previous
            state = State(uid=uid, revision=revision, event=event, previous=previous)
            self._newest[uid] = state
            self.states.append(state)
            return state

    def record_deletion(self, uid: str, *, not_before: int) -> None:
        """The event is gone, since some revision after `not_before`: no answer says which."""
        with self._lock:
            self._deleted[uid] = not_before

    def undo(self, revision: int) -> None:
        """The API server has forgotten all that came after this revision: none of it is the state
        right before one that is yet to come. The states themselves stay in the ledger.
        """
        newest = {state.uid: state for state in self.current(revision).values()}
        with self._lock:
            self._newest = newest

    def current(self, revision: int | None = None) -> dict[str, State]:
        """By id, the states that a list of this revision (or of now) would show.

        An event deleted about then may or may not be among them: do not ask for such a revision.
        """
        newest: dict[str, State] = {}
        with self._lock:
            for state in self.states:
                if revision is None or state.revision <= revision:
                    newest[state.uid] = state
            gone = {
                uid for uid, since in self._deleted.items() if revision is None or since < revision
            }
        return {state.id: state for uid, state in newest.items() if uid not in gone}

    def since(self, revision: int) -> Iterator[State]:
        """The states that are newer than this revision."""
        with self._lock:
            states = list(self.states)
        return (state for state in states if state.revision > revision)

    def strangers(self, client: KubeClient) -> set[str]:
        """The uids of events that somebody else wrote: the API server has controllers of its own.

        ("Cluster IP 10.0.0.1 is not allocated; repairing", after a slow start.)
        """
        listed = {event["metadata"]["uid"] for event in client.events()}
        with self._lock:
            return listed - self._newest.keys()

    def check_against(self, client: KubeClient) -> None:
        """Hold the ledger against what the API server lists as core/v1 now; fail if it lies.

        This proves the translation from events.k8s.io, and that the load lost no answer.
        """
        strangers = self.strangers(client)
        listed = {
            state_id(event): as_core(event)
            for event in client.events()
            if event["metadata"]["uid"] not in strangers
        }
        kept = {id_: state.event for id_, state in self.current().items()}
        assert listed.keys() == kept.keys(), listed.keys() ^ kept.keys()
        for id_, event in listed.items():
            assert without_managed_fields(event) == without_managed_fields(kept[id_])


def as_core(answer: Event) -> Event:
    """The core/v1 form of an event in either group's form, less kind and apiVersion."""
    event = {key: value for key, value in answer.items() if key not in ("kind", "apiVersion")}
    if "regarding" not in event:
        return event
    return _CORE_ALWAYS | {_CORE_NAMES.get(key, key): value for key, value in event.items()}


def without_managed_fields(event: Event) -> Event:
    """The event less metadata.managedFields."""
    metadata = {key: value for key, value in event["metadata"].items() if key != "managedFields"}
    return {**event, "metadata": metadata}


def ids(states: Iterable[State]) -> set[str]:
    """Their ids."""
    return {state.id for state in states}
