"""The old states of events: what `old_event` is made of."""

from __future__ import annotations

from collections import OrderedDict

# What one entry costs beside its bytes: the key (a UUID), the object's head, a share of the dict.
_OVERHEAD_BYTES = 250


class OldStates:
    """The last seen state of each event, packed, by uid; the least recently seen make room.

    Takes at most about `max_bytes` of memory; 0 turns it off. Not thread-safe: each reflector
    has its own.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        # No plain dict: to find its first item it passes over all that were deleted before it.
        self._states: OrderedDict[str, bytes] = OrderedDict()
        self._earlier: OrderedDict[str, bytes] = OrderedDict()
        self.enabled = max_bytes > 0
        self.is_full = False  # whether a state has made room since the last `begin_list` or `clear`

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
        """Remember this as the last seen state of the event."""
        if not self.enabled or not uid:
            return
        old = self._states.pop(uid, None)
        if old is None and self._earlier:
            old = self._earlier.pop(uid, None)
        if old is not None:
            self._bytes -= len(old) + _OVERHEAD_BYTES
        if not self.fits(state):
            return  # it would take the room of all others, and still not fit
        self._states[uid] = state
        self._bytes += len(state) + _OVERHEAD_BYTES
        while self._bytes > self._max_bytes:
            self.is_full = self.is_full or not self._earlier
            _, oldest = (self._earlier or self._states).popitem(last=False)
            self._bytes -= len(oldest) + _OVERHEAD_BYTES

    def begin_list(self) -> None:
        """Set all known states apart: from now on each may be out of date until it is put again."""
        self._earlier.update(self._states)
        self._states.clear()
        self.is_full = False

    def was_known(self, uid: str) -> bool:
        """Whether a state was known at `begin_list` that has not been put again since."""
        return uid in self._earlier

    def last(self, uid: str) -> bytes | None:
        """The last seen state, also if it may be out of date by now."""
        return self._states.get(uid) or self._earlier.get(uid)

    def end_list(self) -> None:
        """Drop the states that were set apart: the list did not confirm them."""
        self._bytes -= sum(len(state) + _OVERHEAD_BYTES for state in self._earlier.values())
        self._earlier.clear()

    def clear(self) -> None:
        """Forget everything: the next update of each event goes without its old state."""
        self._states.clear()
        self._earlier.clear()
        self._bytes = 0
        self.is_full = False
