"""The keeper: carries positions from acked to delivered, and both into the checkpoint."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from eventrouter.checkpoint.buffer import Buffer
from eventrouter.checkpoint.stores import Checkpoint, CheckpointWriter, ResourceVersions
from eventrouter.clock import Clock
from eventrouter.errors import CheckpointError, Deposed
from eventrouter.forward.batch import Positions
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# How often the buffer is looked at and the checkpoint written, while there is something new.
ROUND_SECONDS = 1.0
_SEAL_ROUND_SECONDS = 0.2
_IDLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Landmark:
    """Positions that are delivered once none of these chunks exists any more."""

    positions: ResourceVersions
    chunks: frozenset[str]


class Keeper:
    """Keeps the checkpoint. `run` is a thread's whole life; `acked` may be called from any thread.

    `delivered` moves by landmarks: take the acked positions, then note which chunks the buffer
    holds. What was acked by then is in those chunks or has been delivered already, so when they
    are gone those positions are delivered. One landmark at a time is enough.
    """

    def __init__(
        self,
        *,
        writer: CheckpointWriter,
        buffer: Buffer,
        scope: str,
        metrics: Metrics,
        pulse: Pulse,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._buffer = buffer
        self._scope = scope
        self._metrics = metrics
        self._pulse = pulse
        self._clock = clock
        self._changed = threading.Condition()
        self._stopping = False
        self._acked: ResourceVersions = {}
        self._delivered: ResourceVersions = {}
        self._started: ResourceVersions = {}
        self._saving = threading.Lock()
        self._landmark: _Landmark | None = None
        self._saved: Checkpoint | None = None
        self._troubles: set[str] = set()

    def start_from(self, checkpoint: Checkpoint | None) -> None:
        """Keep what an earlier run had reached, of namespaces that are no longer followed too."""
        if checkpoint is not None:
            same_buffer = checkpoint.buffer == self._buffer.identity()
            self._started = dict(checkpoint.started)
            self._delivered = dict(checkpoint.delivered)
            self._acked = dict(checkpoint.acked if same_buffer else checkpoint.delivered)

    def history_went_back(
        self, namespace: str, history: int, *, beat: Callable[[], None] = lambda: None
    ) -> None:
        """To be done."""

    def begin_list(
        self, namespace: str, resource_version: str, *, beat: Callable[[], None] = lambda: None
    ) -> None:
        """A first list begins at this revision. Written at once, before any of it is sent.

        Whatever happens before the first delivery, the next start begins there again, and sees
        all that came after.
        """
        self._started = self._started | {namespace: resource_version}
        self._save(self._acked)

    def acked(self, positions: Positions) -> None:
        """Everything up to these positions is in the sidecar's buffer now."""
        with self._changed:
            self._acked = self._acked | {
                namespace: position.resource_version for namespace, position in positions.items()
            }
            self._changed.notify()

    def run(self) -> None:
        """Write the checkpoint while there is something new to write, until stopped."""
        while not self._stopping:
            self._pulse.beat()
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._has_news(), _IDLE_SECONDS)
            self.settle()
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, ROUND_SECONDS)

    def stop(self) -> None:
        """Let `run` return soon."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def seal(self, seconds: float) -> bool:
        """After `run`: wait until all that is acked is delivered, and for so long at most.

        Then a restart repeats nothing of it, whatever the buffer. Returns whether the buffer is
        empty: it may hold what came without an ack as well, for which nothing is waited.
        """
        deadline = self._clock.monotonic() + seconds
        with self._changed:
            while not self.settle() and self._clock.monotonic() < deadline:
                self._changed.wait(_SEAL_ROUND_SECONDS)
        return self._chunks() == frozenset()

    def settle(self) -> bool:
        """Look at the buffer, write what is new. Whether all that is acked is delivered."""
        acked = self._acked
        if not acked:
            return True
        self._move_delivered(acked)
        self._save(acked)
        return self._delivered == acked

    def _has_news(self) -> bool:
        if not self._acked:
            return False
        saved = self._saved
        return saved is None or saved.acked != self._acked or saved.delivered != self._acked

    def _move_delivered(self, acked: ResourceVersions) -> None:
        chunks = self._chunks()
        if chunks is None:
            return
        if not chunks:
            self._landmark = None
            self._delivered = acked
        elif self._landmark is None or not self._landmark.chunks & chunks:
            if self._landmark is not None:
                self._delivered = self._landmark.positions
            self._landmark = _Landmark(acked, chunks)
        else:
            return
        self._metrics.last_delivered.set(self._clock.time())

    def _chunks(self) -> frozenset[str] | None:
        """What the buffer holds; None where that cannot be seen."""
        try:
            chunks = self._buffer.chunks()
        except OSError as error:
            self._failed(
                "buffer", f"cannot look into the sidecar's buffer (see --buffer-path): {error}"
            )
            return None
        self._troubles.discard("buffer")
        return chunks

    def _save(self, acked: ResourceVersions) -> None:
        started = {name: at for name, at in self._started.items() if name not in self._delivered}
        checkpoint = Checkpoint(
            self._scope, self._buffer.identity(), acked, self._delivered, started
        )
        with self._saving:
            if checkpoint == self._saved:
                return
            try:
                self._writer.save(checkpoint, now=self._clock.time())
            except CheckpointError as error:
                self._metrics.checkpoints.labels("failed").inc()
                if not isinstance(error, Deposed):  # the election says it, and nobody tries again
                    self._failed("checkpoint", str(error))
                return
            self._saved = checkpoint
        self._troubles.discard("checkpoint")
        self._metrics.checkpoints.labels("ok").inc()

    def _failed(self, stage: str, message: str) -> None:
        """Count each failure, log one until it is over."""
        self._metrics.errors.labels(stage, "io").inc()
        if stage not in self._troubles:
            self._troubles.add(stage)
            log.error("%s; trying again", message)
