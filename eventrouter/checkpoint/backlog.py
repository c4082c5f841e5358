"""What waits in the sidecar's buffer: how many chunks, which is the oldest, and since when.

Chunks that an output does not take stay, and the watcher sees nothing else of that output. So their
number and their age are what shows that deliveries stand still, and that one chunk never leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan

from eventrouter.checkpoint.buffer import Buffer, begun, is_optional
from eventrouter.clock import Clock
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.trouble import Trouble

log = logging.getLogger(__name__)

# How often the files are counted while any waits: 50,000 of them take a tenth of a second.
LOOK_SECONDS = 15.0
# A chunk leaves within a few seconds while its outputs work. One that is older shows in /readyz.
NOTICE_SECONDS = 120.0
# A chunk that has been the oldest for so long is named in the log.
STUCK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """The chunks that wait, and the oldest of them. `since` is in seconds since 1970."""

    chunks: int
    oldest: str = ""
    since: float | None = None

    def age_seconds(self, now: float) -> float:
        """How long the oldest has waited; 0 where nothing waits or its name does not say."""
        return 0.0 if self.since is None else max(0.0, now - self.since)

    def describe(self, now: float) -> str:
        """In words, for a person."""
        if not self.chunks:
            return "no chunk waits"
        number = "1 chunk waits" if self.chunks == 1 else f"{self.chunks} chunks wait"
        if self.since is None:
            return number
        return f"{number}, the oldest for {_span(self.age_seconds(now))}: {self.oldest}"


def count(chunks: Sequence[str], has_content: Callable[[str], bool]) -> Waiting:
    """What of these chunks waits. Empty ones older than the oldest with content do not count."""
    for empty, chunk in enumerate(sorted(chunks, key=_age)):
        if has_content(chunk):
            return Waiting(len(chunks) - empty, chunk, begun(chunk))
    return Waiting(0)


class Backlog:
    """Keeps count of what waits. For the keeper's thread, but `chunks` may be read by any.

    The chunks that wait for required outputs and those for optional ones are two queues. `note`
    takes a name and a line for /readyz, an empty one when there is nothing to say.
    """

    def __init__(
        self, *, buffer: Buffer, metrics: Metrics, note: Callable[[str, str], None], clock: Clock
    ) -> None:
        self._buffer = buffer
        self._clock = clock
        self._looked_at: float | None = None
        self._required, self._optional = (
            _Queue(
                buffer=buffer,
                show=partial(metrics.show_waiting, outputs),
                note=partial(note, name),
                clock=clock,
            )
            for outputs, name in (("required", "buffer"), ("optional", "buffer, optional outputs"))
        )

    @property
    def chunks(self) -> int:
        """How many chunks wait in all; 0 while nobody knows."""
        return self._required.waiting.chunks + self._optional.waiting.chunks

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again: at the start, then while anything waits."""
        if not self._buffer.is_visible:
            return False
        return self._looked_at is None or (
            self.chunks > 0 and self._clock.monotonic() >= self._looked_at + LOOK_SECONDS
        )

    def update(self, chunks: Sequence[str]) -> None:
        """These are in the buffer now. May raise BufferUnseen."""
        if not self._buffer.is_visible:
            return
        self._required.update([chunk for chunk in chunks if not is_optional(chunk)])
        self._optional.update([chunk for chunk in chunks if is_optional(chunk)])
        self._looked_at = self._clock.monotonic()

    def lose_sight(self, why: str) -> None:
        """Nobody knows what waits: unknown is not nothing. `why` is for /readyz."""
        self._looked_at = None
        self._required.lose_sight(why)
        self._optional.lose_sight("")


class _Queue:
    """The chunks that wait for some of the outputs."""

    def __init__(
        self,
        *,
        buffer: Buffer,
        show: Callable[[float, float], None],
        note: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._buffer = buffer
        self._show = show
        self._note = note
        self._clock = clock
        self._since = 0.0
        self._stuck = Trouble(log, over="The chunk has left Fluent Bit's buffer")
        self.waiting = Waiting(0)

    def update(self, chunks: Sequence[str]) -> None:
        """These are in the buffer now."""
        before, self.waiting = self.waiting, count(chunks, self._buffer.has_content)
        waiting, now = self.waiting, self._clock.time()
        self._show(waiting.chunks, nan if waiting.since is None else waiting.since)
        is_old = waiting.age_seconds(now) >= NOTICE_SECONDS
        self._note(waiting.describe(now) if is_old else "")
        if waiting.oldest != before.oldest:
            self._since = self._clock.monotonic()
            self._stuck.end()
        elif waiting.oldest and self._clock.monotonic() >= self._since + STUCK_SECONDS:
            self._name(waiting, now)

    def lose_sight(self, why: str) -> None:
        """Nobody knows what waits."""
        self.waiting = Waiting(0)
        self._show(nan, nan)
        self._note(why)

    def _name(self, waiting: Waiting, now: float) -> None:
        """Name a chunk once that has been the oldest for long.

        Not by its age: after an outage the chunks leave one by one, each of them old.
        """
        if not self._stuck.is_on:
            self._stuck.report(
                f"The chunk {waiting.oldest} (tag {self._buffer.tag(waiting.oldest)}) has waited in"
                f" Fluent Bit's buffer for {_span(waiting.age_seconds(now))}: Fluent Bit's log"
                " names the output that does not take it",
                chunks=waiting.chunks,
            )


def _age(chunk: str) -> str:
    """Sorts chunks by the second in which they were begun, those without a time last.

    It has ten digits until 2286, so texts compare as numbers do, at a tenth of the cost.
    """
    return chunk[chunk.rfind("-") + 1 :]


def _span(seconds: float) -> str:
    """A time in its largest fitting unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
