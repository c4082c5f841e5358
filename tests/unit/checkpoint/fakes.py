"""Stand-ins for the keeper's two neighbours: a buffer and a store that a test moves by hand."""

from __future__ import annotations

import threading

from eventrouter.checkpoint.contents import Checkpoint
from eventrouter.errors import BufferUnseen, CheckpointError


class FakeBuffer:
    """Holds the chunks that a test puts there; None cannot be seen. Counts what it is asked."""

    identity = "buffer"
    is_visible = True

    def __init__(self) -> None:
        self.held: set[str] | None = set()
        self.empty: set[str] = set()
        self.unreadable: set[str] = set()
        self.scans = 0
        self.looks = 0

    def chunks(self) -> list[str]:
        self.scans += 1
        return sorted(self._held())

    def is_there(self, chunk: str) -> bool:
        self.looks += 1
        return chunk in self._held()

    def has_content(self, chunk: str) -> bool:
        self.looks += 1
        if chunk in self.unreadable:
            raise BufferUnseen(f"cannot read {chunk}", reason="io")
        return chunk in self._held() - self.empty

    def tag(self, chunk: str) -> str:
        return "kube.events.normal"

    def _held(self) -> set[str]:
        if self.held is None:
            raise BufferUnseen("cannot look into the sidecar's buffer", reason="io")
        return self.held


class FakeStore:
    """Remembers what was saved, and by which threads."""

    def __init__(self) -> None:
        self.saved: list[Checkpoint] = []
        self.savers: set[threading.Thread] = set()
        self.tries = 0
        self.error: CheckpointError | None = None

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        self.tries += 1
        self.savers.add(threading.current_thread())
        if self.error is not None:
            raise self.error
        self.saved.append(checkpoint)
