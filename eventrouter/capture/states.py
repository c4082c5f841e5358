"""The old states of events: what `old_event` is made of."""

from __future__ import annotations

from collections import OrderedDict

# What one entry costs beside its bytes: the key (a UUID), the object's head, a share of the dict.
_OVERHEAD_BYTES = 250


class OldStates:
    """The last seen state of each event, packed, by uid; the least recently seen make room.

    Holds at most about `max_bytes` of memory; 0 turns it off. Not thread-safe: each reflector
    has its own.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        # Not a plain dict: to find its first item it passes over all that were deleted before it.
        self._states: OrderedDict[str, bytes] = OrderedDict()
        self.enabled = max_bytes > 0
        self.is_full = False  # whether one had to make room, since the last `clear`

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, uid: str) -> bool:
        return uid in self._states

    def fits(self, state: bytes) -> bool:
        """Whether there is room for it, at least with no other."""
        return len(state) + _OVERHEAD_BYTES <= self._max_bytes

    def get(self, uid: str) -> bytes | None:
        """The last seen state of this event, None if it is not known."""
        return self._states.get(uid)

    def put(self, uid: str, state: bytes) -> None:
        """This is now the last seen state of this event."""
        if not self.enabled or not uid:
            return
        old = self._states.pop(uid, None)
        if old is not None:
            self._bytes -= len(old) + _OVERHEAD_BYTES
        if not self.fits(state):
            return  # it would make room of all others, and still not fit
        self._states[uid] = state
        self._bytes += len(state) + _OVERHEAD_BYTES
        while self._bytes > self._max_bytes:
            self.is_full = True
            _, oldest = self._states.popitem(last=False)
            self._bytes -= len(oldest) + _OVERHEAD_BYTES

    def clear(self) -> None:
        """Nothing is known any more: the next update of each event goes without its old state."""
        self._states.clear()
        self._bytes = 0
        self.is_full = False
