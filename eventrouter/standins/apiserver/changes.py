"""The writes to a store, and following them."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

Kind = Literal["ADDED", "MODIFIED", "DELETED"]


class Change(NamedTuple):
    """One write. `key` is `namespace/name`; `item` is the object's JSON as lists show it, of a
    deletion the last state with the deletion's version; `previous` is the item before the write.
    """

    revision: int
    kind: Kind
    key: str
    item: bytes
    previous: bytes | None

    @property
    def line(self) -> bytes:
        """The write as a line of a watch: there, objects carry kind and apiVersion."""
        return b'{"type":"%b","object":{"kind":"Event","apiVersion":"v1",%b}\n' % (
            self.kind.encode(),
            self.item[1:],
        )


class Watch:
    """The changes after a revision, as they come.

    Holds what was not yet taken, as etcd's client does inside the API server: neither a slow
    reader nor a compaction loses any. `take` is for one thread.
    """

    def __init__(
        self, *, after: int, namespace: str | None, leave: Callable[[Watch], None]
    ) -> None:
        self._after = after
        self._prefix = "" if namespace is None else f"{namespace}/"
        self._queue: SimpleQueue[Change | bytes] = SimpleQueue()
        self._leave = leave

    def offer(self, change: Change) -> None:
        """For the store: this was written. Out of scope, or not after the revision: ignored."""
        if change.revision > self._after and change.key.startswith(self._prefix):
            self._queue.put(change)

    def inject(self, data: bytes) -> None:
        """Let `take` give these bytes too, behind the changes so far. Empty ones just wake it."""
        self._queue.put(data)

    def take(self, *, timeout: float) -> list[Change | bytes]:
        """Everything ready, after waiting until something is. Empty: nothing came in time."""
        try:
            taken = [self._queue.get(timeout=timeout)]
        except Empty:
            return []
        return taken + [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def close(self) -> None:
        """Follow no more."""
        self._leave(self)
