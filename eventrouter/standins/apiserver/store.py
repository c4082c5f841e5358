"""A versioned store of Event objects: what etcd is to a real API server."""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from eventrouter.standins.apiserver import objects
from eventrouter.standins.apiserver.changes import Change, Watch
from eventrouter.standins.apiserver.encoding import decode, encode

Event = dict[str, Any]

# In raw JSON given to `put_raw`, this text becomes the version of the write.
VERSION_MARK = b"@resourceVersion@"

# Pages of a list are cut from a snapshot; a few are kept, since lists and probes may overlap.
_SNAPSHOTS = 4


class Compacted(Exception):
    """The history asked for is gone."""


class NotReached(Exception):
    """The revision asked for is not there yet."""


class Conflict(Exception):
    """The object to create exists, or the object to change does not."""


class Page(NamedTuple):
    """A stretch of a list, all of it as of `revision`. `last` is the key to go on behind, None at
    the list's end; `remaining` counts what then follows."""

    revision: int
    items: list[bytes]
    last: str | None
    remaining: int


class EventStore:
    """Events by namespace and name, every write under a revision of its own. Safe for any threads.

    As in etcd, one counter serves everything, history is kept until it is compacted, and keys are
    in the order of the text `namespace/name`.
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
        """The revision of the last write of all."""
        return self._revision

    def __len__(self) -> int:
        """How many events there are."""
        with self._lock:
            return sum(versions[-1].kind != "DELETED" for versions in self._versions.values())

    def create(self, event: Mapping[str, Any], *, at: datetime | None = None) -> Event:
        """Store a new event, completed as the API server does, and give what was stored.

        A uid, a creationTimestamp or managedFields that the event brings are kept. `at` is when
        the API server says it was written, by default now.
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
        """Change an event by a merge patch or by a function that edits it; give what was stored."""
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
        """Store an object as it is, however odd; nothing is added, nothing checked.

        VERSION_MARK in it becomes the version. Bytes are stored byte for byte: they should be one
        JSON object, not empty, without kind and apiVersion, which watches add.
        """
        raw = item if isinstance(item, bytes) else encode(item)
        with self._lock:
            self._write(
                f"{namespace}/{name}", raw.replace(VERSION_MARK, b"%d" % (self._revision + 1))
            )

    def delete(self, namespace: str, name: str) -> None:
        self.expire([(namespace, name)])

    def expire(self, names: Iterable[tuple[str, str]]) -> None:
        """Delete several events at one revision, as the end of a lease that they share does."""
        with self._lock:
            gone = [self._existing(f"{namespace}/{name}") for namespace, name in names]
            self._revision += 1
            for change in gone:
                last = objects.with_version(change.item, self._revision)
                self._append(Change(self._revision, "DELETED", change.key, last, change.item))

    def skip(self, revisions: int = 1) -> None:
        """Let the counter run on, as writes to other resources do."""
        with self._lock:
            self._revision += revisions

    def compact(self, revision: int | None = None) -> None:
        """Forget the history before `revision`, by default all of it. The present stays."""
        with self._lock:
            self._compacted = max(self._compacted, self._revision if revision is None else revision)
            cut = bisect_left(self._history, self._compacted, key=_revision)
            forgotten, self._history = self._history[:cut], self._history[cut:]
            for key in {change.key for change in forgotten}:
                versions = self._versions[key]
                del versions[: max(0, bisect_right(versions, self._compacted, key=_revision) - 1)]
                if versions[0].kind == "DELETED" and versions[0].revision < self._compacted:
                    del versions[0]
                if not versions:
                    del self._versions[key]
                    self._keys = None
            self._snapshots.clear()

    def restore(self, revision: int) -> None:
        """Go back to an older revision: later states never were, and the counter starts from there.

        Open watches stay open and silent until the counter has passed where they were
        (kubernetes#107457).
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
        matches: Callable[[bytes], bool] | None = None,
    ) -> Page:
        """The events as of a revision (default: now), in key order, behind the key `after`.

        Raises Compacted, NotReached. As in the API server's etcd store, a page is full at `limit`
        matches, and whether more follow counts keys, not matches.
        """
        with self._lock:
            at = self._revision if revision is None else revision
            if at < self._compacted:
                raise Compacted
            if at > self._revision:
                raise NotReached
            found = self._snapshot(at)
        if namespace is not None:
            first = bisect_left(found, f"{namespace}/", key=_key)
            found = found[first : bisect_left(found, f"{namespace}0", key=_key)]  # "0" follows "/"
        start = bisect_right(found, after, key=_key) if after else 0
        if matches is None:
            end = len(found) if limit is None else min(start + limit, len(found))
            items = [change.item for change in found[start:end]]
        else:
            items, end = [], start
            while end < len(found) and len(items) != limit:
                if matches(found[end].item):
                    items.append(found[end].item)
                end += 1
        last = found[end - 1].key if start < end < len(found) else None
        return Page(at, items, last, len(found) - end)

    def watch(self, after: int | None, *, namespace: str | None = None) -> Watch:
        """Follow the changes after a revision, which may be one still to come.

        None: first the present events as ADDED, in key order. Raises Compacted.
        """
        with self._lock:
            # The first change wanted is the next one, and etcd keeps the compacted revision itself.
            if after is not None and after < self._compacted - 1:
                raise Compacted
            watch = Watch(after=after or 0, namespace=namespace, leave=self._forget)
            if after is None:
                present = self._snapshot(self._revision)
                backlog = [change._replace(kind="ADDED") for change in present]
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
        return versions[-1] if versions and versions[-1].kind != "DELETED" else None

    def _existing(self, key: str) -> Change:
        current = self._current(key)
        if current is None:
            raise Conflict(f"events {key!r} not found")
        return current

    def _snapshot(self, revision: int) -> list[Change]:
        if revision not in self._snapshots:
            if self._keys is None:
                self._keys = sorted(self._versions)
            while len(self._snapshots) >= _SNAPSHOTS:
                del self._snapshots[next(iter(self._snapshots))]
            snapshot = self._snapshots[revision] = []
            for key in self._keys:
                versions = self._versions[key]
                at = len(versions) - 1  # nearly always the one, so no bisect
                while at >= 0 and versions[at].revision > revision:
                    at -= 1
                if at >= 0 and versions[at].kind != "DELETED":
                    snapshot.append(versions[at])
        return self._snapshots[revision]


def _revision(change: Change) -> int:
    return change.revision


def _key(change: Change) -> str:
    return change.key
