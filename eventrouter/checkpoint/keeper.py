"""The keeper: carries positions from acked to delivered, and both into the checkpoint."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from eventrouter.checkpoint.backlog import LOOK_SECONDS, Backlog
from eventrouter.checkpoint.buffer import Buffer, is_optional
from eventrouter.checkpoint.contents import Checkpoint
from eventrouter.checkpoint.reached import Reached
from eventrouter.checkpoint.stores import CheckpointStore
from eventrouter.clock import Clock
from eventrouter.errors import BufferUnseen, CheckpointError, Deposed
from eventrouter.forward.batch import Positions
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.trouble import Trouble

log = logging.getLogger(__name__)

# How often the buffer is looked at and the checkpoint written, while there is something new. Fluent
# Bit keeps a chunk for a second at least. What a killed watcher sends again was acked since then.
ROUND_SECONDS = 5.0
_LAST_ROUND_SECONDS = 0.2
# Between two tries of a run's last write.
_LAST_RETRY_SECONDS = 2.0
_IDLE_SECONDS = 60.0
# A thread that waits for a write shows this often that it is alive.
_BEAT_SECONDS = 5.0
# How long the last write of a run may take.
_LAST_WRITE_SECONDS = 10.0


class _Landmark:
    """Positions that are delivered once none of these chunks is left.

    One chunk that is left stands for all of them, so that a look costs one stat however many wait.
    """

    def __init__(
        self, positions: Positions, records: int, *, chunks: list[str], buffer: Buffer
    ) -> None:
        """`records` had been acked when the buffer held these chunks."""
        self.positions = positions
        self.records = records
        self._chunks = chunks
        self._buffer = buffer
        self._witness = ""

    def is_passed(self) -> bool:
        """Whether all of them are gone. Raises BufferUnseen."""
        if self._witness and self._buffer.is_there(self._witness):
            return False
        self._witness = ""
        while self._chunks and not self._witness:
            chunk = self._chunks.pop()
            if self._buffer.has_content(chunk):
                self._witness = chunk
        return not self._witness


class Keeper:
    """Keeps the checkpoint. `run` is a thread's whole life, and only that thread has it written.

    Other threads call the other methods: these hand `run` a wish, and wait for it where they
    promise a result.

    `delivered` moves by landmarks: take the acked positions, then note which chunks the buffer
    holds. What was acked by then is in those chunks or has been delivered already, so when they
    are gone those positions are delivered. One landmark at a time is enough.
    """

    def __init__(
        self,
        *,
        kept: Checkpoint,
        followed: AbstractSet[str],
        store: CheckpointStore,
        buffer: Buffer,
        backlog: Backlog,
        metrics: Metrics,
        pulse: Pulse,
        clock: Clock,
    ) -> None:
        """`kept` is what this run took over; it follows the namespaces of `followed`."""
        self._store = store
        self._buffer = buffer
        self._backlog = backlog
        self._metrics = metrics
        self._pulse = pulse
        self._clock = clock
        self._reached = Reached(kept, followed=followed)
        self._landmark: _Landmark | None = None
        self._unseen = Trouble(log, over="The sidecar's buffer can be seen again")
        self._unwritten = Trouble(log, over="The checkpoint can be written again")
        # Guards what follows, and `_reached`.
        self._changed = threading.Condition()
        self._written = 0  # of the changes that `_reached` counts
        self._is_urgent = False
        self._is_resting = False
        self._end_at: float | None = None
        self._has_ended = False

    # ---- wishes of other threads

    def acked(self, positions: Positions) -> None:
        """Everything up to these positions is in the sidecar's buffer now."""
        with self._changed:
            # Urgent is a namespace's first position: without it, a start lists everything anew.
            is_first = bool(positions.keys() - self._reached.acked.keys())
            self._reached.ack(positions)
            self._is_urgent |= is_first
            if is_first or not self._is_resting:  # else it will see it, and others wait for no ack
                self._changed.notify_all()

    def begin_list(
        self, namespace: str, resource_version: str, *, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Note that a first list begins at this revision. Returns when that is written.

        The next start then begins there again if nothing is delivered before it, and skips nothing.
        Returns without that only at the end of the run. Calls `beat` now and then while it waits.
        """
        with self._changed:
            self._reached.begin(namespace, resource_version)
            self._wait_until_written(beat)

    def history_went_back(
        self, namespace: str, history: int, *, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Forget a namespace's positions: the API server's history went back before them.

        The positions to come have this `history`, and older ones are ignored from here on. Returns
        when that is written, as `begin_list` does.
        """
        with self._changed:
            self._reached.go_back(namespace, history)
            self._wait_until_written(beat)

    def stop(self) -> None:
        """Have `run` return soon, without another write."""
        with self._changed:
            self._end_at = float("-inf")
            self._changed.notify_all()

    def wait_delivered(self, seconds: float) -> bool:
        """Have `run` return once all that is acked is delivered and written, or after `seconds`.

        Waits for that. A restart then repeats nothing of it, whatever the buffer. Returns whether
        the buffer is empty: it may also hold what came without an ack, which is not waited for.
        """
        with self._changed:
            self._end_at = self._clock.monotonic() + seconds
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._has_ended, seconds + _LAST_WRITE_SECONDS)
        try:
            return not any(map(self._buffer.has_content, _awaited(self._buffer.chunks())))
        except BufferUnseen as error:
            self._report_unseen(error)
            return False

    def _wait_until_written(self, beat: Callable[[], None]) -> None:
        changes = self._reached.changes
        self._is_urgent = True
        self._changed.notify_all()
        while not self._changed.wait_for(
            lambda: self._written >= changes or self._has_ended, _BEAT_SECONDS
        ):
            beat()

    # ---- the keeper's own thread

    def run(self) -> None:
        """Write the checkpoint while there is something new to write, until told to end."""
        try:
            while self._wait_for_news():
                self._pulse.beat()
                self.save_progress()
                self._rest(ROUND_SECONDS, end_at=None)
            self._finish()
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def save_progress(self) -> None:
        """Look at the buffer, and write what is new."""
        self._follow_buffer()
        self._write()

    def _finish(self) -> None:
        """Go on until all is delivered and written, or until it is time to end."""
        while (end_at := self._end_at) != float("-inf"):
            self.save_progress()
            with self._changed:
                is_written = self._written == self._reached.changes
                if is_written and self._reached.is_delivered:
                    return
            if end_at is None or self._clock.monotonic() >= end_at:
                return
            self._rest(_LAST_ROUND_SECONDS if is_written else _LAST_RETRY_SECONDS, end_at=end_at)

    def _wait_for_news(self) -> bool:
        """Wait until there is something to look at or to write. False when it is time to end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._end_at is not None or self._has_news(),
                LOOK_SECONDS if self._backlog.chunks else _IDLE_SECONDS,
            )
            return self._end_at is None

    def _has_news(self) -> bool:
        return (
            self._written != self._reached.changes
            or not self._reached.is_delivered
            or self._backlog.is_due
        )

    def _rest(self, seconds: float, *, end_at: float | None) -> None:
        """Leave time for more acks to share the next write.

        A thread that waits for one ends it, and so does a new end of the run: any but `end_at`,
        which the caller knew before it wrote.
        """
        with self._changed:
            self._is_resting = True
            self._changed.wait_for(lambda: self._is_urgent or self._end_at != end_at, seconds)
            self._is_resting = self._is_urgent = False

    def _follow_buffer(self) -> None:
        with self._changed:
            acked = self._reached.acked
        try:
            is_passed = bool(acked) and (self._landmark is None or self._landmark.is_passed())
            if is_passed or self._backlog.is_due:
                records = self._metrics.total(self._metrics.acked)
                chunks = self._buffer.chunks()
                self._backlog.update(chunks)
                if is_passed:
                    self._move(
                        _Landmark(acked, records, chunks=_awaited(chunks), buffer=self._buffer)
                    )
        except BufferUnseen as error:
            self._landmark = None  # it may have let go of a chunk that it could not look at
            if acked:  # before that it may not be there yet
                self._metrics.errors.labels("buffer", error.reason).inc()
                self._report_unseen(error)
                self._backlog.lose_sight(str(error))
        else:
            self._unseen.end()

    def _report_unseen(self, error: BufferUnseen) -> None:
        """Log one message until it is over: while a folder is deleted, each try fails anew."""
        if not self._unseen.is_on:
            self._unseen.report(f"{error}; trying again", reason=error.reason)

    def _move(self, landmark: _Landmark) -> None:
        """The last landmark, if any, is passed: move `delivered`, and set this one."""
        passed = [] if self._landmark is None else [self._landmark]
        self._landmark = landmark
        if landmark.is_passed():
            self._landmark = None
            passed.append(landmark)
        with self._changed:
            for each in passed:
                self._reached.deliver(each.positions)
        for each in passed:
            self._metrics.show_delivered(each.records)
        self._metrics.last_delivered.set(self._clock.time())

    def _write(self) -> None:
        with self._changed:
            changes = self._reached.changes
            if changes == self._written:
                return
            checkpoint = self._reached.checkpoint()
        try:
            self._store.save(checkpoint, now=self._clock.time())
        except Deposed:  # the election says so, and nobody tries again
            self._metrics.checkpoints.labels("failed").inc()
            self.stop()
        except CheckpointError as error:
            self._metrics.checkpoints.labels("failed").inc()
            self._metrics.errors.labels("checkpoint", "io").inc()
            self._unwritten.report(f"{error}; trying again")
        else:
            self._metrics.checkpoints.labels("ok").inc()
            self._metrics.show_positions(acked=checkpoint.acked, delivered=checkpoint.delivered)
            self._unwritten.end()
            with self._changed:
                self._written = changes
                self._changed.notify_all()


def _awaited(chunks: list[str]) -> list[str]:
    """The chunks that must be gone before a position counts as delivered."""
    return [chunk for chunk in chunks if not is_optional(chunk)]
