"""What is known of objects, and of which it is known that there is nothing to know."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

from msgspec import Struct

# "found", or why there is nothing: the object is gone, its name is another object's, or a right or
# the resource is missing. "unknown" is an object of which only the node has been learned.
State = Literal["found", "gone", "replaced", "forbidden", "unknown_kind", "unknown"]

# What one entry costs beside its texts: two objects, the key's head, a share of the dict.
_OVERHEAD_BYTES = 600


class Owner(NamedTuple):
    """An owner reference."""

    kind: str
    api_version: str
    name: str
    uid: str


class Entry(Struct, gc=False):
    """One object. `labels` and `annotations` are packed maps, empty if there are none.

    `expires` is when to ask again, by a monotonic clock.
    """

    state: State = "unknown"
    labels: bytes = b""
    annotations: bytes = b""
    owner: Owner | None = None
    node: str = ""
    expires: float = float("-inf")

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        texts = (self.labels, self.annotations, self.node, *(self.owner or ()))
        return sum(map(len, texts)) + _OVERHEAD_BYTES


class Cache:
    """Entries by the key of their object; the least recently used make room.

    Takes at most about `max_bytes`. Not thread-safe.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """What is known, also if it has expired."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Remember what was found now.

        If nothing was found where something was known, that is kept: an object that is gone, or
        cannot be read any more, was what it was. So is a node that is not named this time.
        """
        old = self._entries.pop(key, None)
        if old is not None:
            self.size_bytes -= old.size_bytes + len(key)
            entry.node = entry.node or old.node
            if entry.state != "found" and old.state == "found":
                entry.state, entry.owner = old.state, old.owner
                entry.labels, entry.annotations = old.labels, old.annotations
        size_bytes = entry.size_bytes + len(key)
        if size_bytes > self._max_bytes:
            return
        self._entries[key] = entry
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            oldest, dropped = self._entries.popitem(last=False)
            self.size_bytes -= dropped.size_bytes + len(oldest)

    def learn_node(self, key: str, node: str) -> None:
        """Remember which node the object is on."""
        old = self._entries.get(key)
        if old is None:
            self.put(key, Entry(node=node))
        elif old.node != node:
            self.size_bytes += len(node) - len(old.node)
            old.node = node
