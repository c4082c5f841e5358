"""The changes of a store, and watches that follow them."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class Change(NamedTuple):
    """One write of one event.

    `key` is `namespace/name`. `item` is the object's JSON as a list shows it; for a deletion, the
    last state with the deletion's resourceVersion. `previous` is the item before the write.
    """

    revision: int
    type: ChangeType
    key: str
    item: bytes
    previous: bytes | None

    @property
    def line(self) -> bytes:
        """The change as a line of a watch, where objects have kind and apiVersion."""
        return b'{"type":"%b","object":{"kind":"Event","apiVersion":"v1",%b}\n' % (
            self.type.encode(),
            self.item[1:],
        )


class Watch:
    """The changes after a revision, as they come.

    Keeps what was not yet taken, as etcd's client in the API server does: a slow reader loses
    nothing, and a compaction takes nothing away. `take` is for one thread.
    """

    def __init__(
        self, *, after: int, namespace: str | None, leave: Callable[[Watch], None]
    ) -> None:
        self._after = after
        self._prefix = "" if namespace is None else f"{namespace}/"
        self._queue: SimpleQueue[Change | bytes] = SimpleQueue()
        self._leave = leave

    def offer(self, change: Change) -> None:
        """Queue a change, unless it is of another namespace or not after the revision."""
        if change.revision > self._after and change.key.startswith(self._prefix):
            self._queue.put(change)

    def inject(self, data: bytes) -> None:
        """Queue raw bytes behind the changes so far. Empty bytes only wake `take`."""
        self._queue.put(data)

    def take(self, *, timeout: float) -> list[Change | bytes]:
        """Wait until something is queued, then take all of it. Empty if nothing came in time."""
        try:
            taken = [self._queue.get(timeout=timeout)]
        except Empty:
            return []
        return taken + [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def close(self) -> None:
        """Stop following the store."""
        self._leave(self)
