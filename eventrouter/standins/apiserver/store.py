"""A versioned store of Event objects, as etcd is for a real API server."""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from eventrouter.standins.apiserver import objects
from eventrouter.standins.apiserver.changes import Change, Watch
from eventrouter.standins.apiserver.encoding import decode, encode
from eventrouter.standins.apiserver.pages import Matches, Page, cut_page

Event = dict[str, Any]

# `put_raw` replaces this text by the resourceVersion of the write.
VERSION_MARK = b"@resourceVersion@"

# So many snapshots are kept to cut pages from: lists and probes may overlap.
_SNAPSHOTS = 4


class Compacted(Exception):
    """The history at this revision has been compacted."""


class NotReached(Exception):
    """The revision is newer than the store's."""


class Conflict(Exception):
    """The object to create exists, or the object to change does not."""


class EventStore:
    """Events by namespace and name; each write has a revision of its own. Safe for any threads.

    As in etcd, there is one counter of revisions, the history is kept until it is compacted, and
    keys are ordered by the text `namespace/name`.
    """

    def __init__(
        self, *, revision: int = 1000, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._revision = revision
        self._compacted = 0
        self._now = now
        self._history: list[Change] = []
        self._versions: dict[str, list[Change]] = {}  # by key, as old as the history needs
        self._keys: list[str] | None = []  # the keys in order; None: to be sorted again
        self._snapshots: dict[int, list[Change]] = {}
        self._watches: list[Watch] = []
        self._lock = threading.RLock()

    @property
    def revision(self) -> int:
        """The revision of the last write."""
        return self._revision

    def __len__(self) -> int:
        """The number of events that exist now."""
        with self._lock:
            return sum(versions[-1].type != "DELETED" for versions in self._versions.values())

    def create(self, event: Mapping[str, Any], *, at: datetime | None = None) -> Event:
        """Complete a new event as the API server does, store it, and return what was stored.

        The event may bring its uid, creationTimestamp and managedFields. `at` is the time of the
        write in those fields otherwise, by default now. Raises Conflict.
        """
        with self._lock:
            stored = objects.complete(event, at=at or self._now(), uid=str(uuid.uuid4()))
            metadata = stored["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            if self._current(key) is not None:
                raise Conflict(f"events {key!r} already exists")
            metadata["resourceVersion"] = str(self._revision + 1)
            self._write(key, encode(stored))
            return stored

    def update(
        self,
        namespace: str,
        name: str,
        changes: Mapping[str, Any] | Callable[[Event], None],
        *,
        at: datetime | None = None,
    ) -> Event:
        """Change an event by a merge patch, or by a function that edits it.

        Returns what was stored. Raises Conflict.
        """
        with self._lock:
            key = f"{namespace}/{name}"
            event: Event = decode(self._existing(key).item)
            if callable(changes):
                changes(event)
            else:
                objects.merge(event, changes)
            objects.touch(event, at=at or self._now())
            event["metadata"]["resourceVersion"] = str(self._revision + 1)
            self._write(key, encode(event))
            return event

    def put_raw(self, namespace: str, name: str, item: bytes | Mapping[str, Any]) -> None:
        """Store any object without completing or checking it.

        VERSION_MARK in it is replaced by the resourceVersion. Bytes are otherwise stored byte for
        byte: give one JSON object that is not empty and has no kind and apiVersion, since watches
        add these.
        """
        raw = item if isinstance(item, bytes) else encode(item)
        with self._lock:
            self._write(
                f"{namespace}/{name}", raw.replace(VERSION_MARK, b"%d" % (self._revision + 1))
            )

    def delete(self, namespace: str, name: str) -> None:
        self.expire([(namespace, name)])

    def expire(self, names: Iterable[tuple[str, str]]) -> None:
        """Delete several events at one revision, as etcd does when the lease they share ends."""
        with self._lock:
            gone = [self._existing(f"{namespace}/{name}") for namespace, name in names]
            self._revision += 1
            for change in gone:
                last = objects.with_version(change.item, self._revision)
                self._append(Change(self._revision, "DELETED", change.key, last, change.item))

    def skip(self, revisions: int = 1) -> None:
        """Advance the counter without a write, as writes to other resources do."""
        with self._lock:
            self._revision += revisions

    def compact(self, revision: int | None = None) -> None:
        """Forget the history before `revision` (default: all of it), and keep what exists now."""
        with self._lock:
            self._compacted = max(self._compacted, self._revision if revision is None else revision)
            cut = bisect_left(self._history, self._compacted, key=_revision)
            forgotten, self._history = self._history[:cut], self._history[cut:]
            for key in {change.key for change in forgotten}:
                versions = self._versions[key]
                del versions[: max(0, bisect_right(versions, self._compacted, key=_revision) - 1)]
                if versions[0].type == "DELETED" and versions[0].revision < self._compacted:
                    del versions[0]
                if not versions:
                    del self._versions[key]
                    self._keys = None
            self._snapshots.clear()

    def restore(self, revision: int) -> None:
        """Go back to an older revision, as an etcd that is restored from a backup does.

        Open watches stay open, and send nothing until the counter has passed the revision that they
        had reached (kubernetes#107457). Raises Compacted.
        """
        with self._lock:
            if revision < self._compacted:
                raise Compacted
            cut = bisect_right(self._history, revision, key=_revision)
            for change in reversed(self._history[cut:]):
                versions = self._versions[change.key]
                versions.pop()
                if not versions:
                    del self._versions[change.key]
                    self._keys = None
            del self._history[cut:]
            self._revision = revision
            self._snapshots.clear()

    def page(
        self,
        *,
        revision: int | None = None,
        namespace: str | None = None,
        after: str = "",
        limit: int | None = None,
        matches: Matches | None = None,
    ) -> Page:
        """A page of the list at a revision (default: the newest), as `cut_page` cuts it.

        Raises Compacted, NotReached.
        """
        with self._lock:
            at = self._revision if revision is None else revision
            if at < self._compacted:
                raise Compacted
            if at > self._revision:
                raise NotReached
            events = self._snapshot(at)
        return cut_page(
            events, revision=at, namespace=namespace, after=after, limit=limit, matches=matches
        )

    def watch(self, after: int | None, *, namespace: str | None = None) -> Watch:
        """Follow the changes after a revision, which may be newer than the store's.

        Without a revision, the watch begins with all events as ADDED, in key order. Raises
        Compacted.
        """
        with self._lock:
            # The watch needs the next revision, and etcd still has the compacted one itself.
            if after is not None and after < self._compacted - 1:
                raise Compacted
            watch = Watch(after=after or 0, namespace=namespace, leave=self._forget)
            if after is None:
                present = self._snapshot(self._revision)
                backlog = [change._replace(type="ADDED") for change in present]
            else:
                backlog = self._history[bisect_right(self._history, after, key=_revision) :]
            for change in backlog:
                watch.offer(change)
            self._watches.append(watch)
            return watch

    def _forget(self, watch: Watch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def _write(self, key: str, item: bytes) -> None:
        current = self._current(key)
        self._revision += 1
        if current is None:
            self._append(Change(self._revision, "ADDED", key, item, None))
        else:
            self._append(Change(self._revision, "MODIFIED", key, item, current.item))

    def _append(self, change: Change) -> None:
        if change.key not in self._versions:
            self._versions[change.key] = []
            self._keys = None
        self._versions[change.key].append(change)
        self._history.append(change)
        for watch in self._watches:
            watch.offer(change)

    def _current(self, key: str) -> Change | None:
        versions = self._versions.get(key)
        return versions[-1] if versions and versions[-1].type != "DELETED" else None

    def _existing(self, key: str) -> Change:
        current = self._current(key)
        if current is None:
            raise Conflict(f"events {key!r} not found")
        return current

    def _snapshot(self, revision: int) -> list[Change]:
        """All events as of a revision, in key order."""
        if revision not in self._snapshots:
            while len(self._snapshots) >= _SNAPSHOTS:
                del self._snapshots[next(iter(self._snapshots))]
            if self._keys is None:
                self._keys = sorted(self._versions)
            states = (_state_at(self._versions[key], revision) for key in self._keys)
            self._snapshots[revision] = [state for state in states if state is not None]
        return self._snapshots[revision]


def _state_at(versions: list[Change], revision: int) -> Change | None:
    """The state of an event as of a revision, None if it did not exist then."""
    for change in reversed(versions):  # nearly always the first is the one, so no bisect
        if change.revision <= revision:
            return None if change.type == "DELETED" else change
    return None


def _revision(change: Change) -> int:
    return change.revision
