"""The sender: takes batches off the queue and sees each frame acknowledged, however often it takes.

One thread, no selector: while there is room in the window and something to send it sends, else
it waits for the oldest ack. What waits meanwhile waits no longer than an ack takes.
"""

from __future__ import annotations

import base64
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eventrouter.clock import Backoff, Clock, Stop
from eventrouter.errors import ForwardError
from eventrouter.forward import protocol
from eventrouter.forward.batch import Batch, Positions
from eventrouter.forward.connection import Address, Link
from eventrouter.forward.queue import Queue
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# Batches on the way at once. Four keep Fluent Bit's input busy; more would wait in its socket.
WINDOW = 4
# An idle link is tried with an empty frame this often: acked, and nothing comes of it.
HEARTBEAT_SECONDS = 30.0


@dataclass(slots=True)
class _Frame:
    """Bytes on the way. A resend is of the same bytes under the same chunk id."""

    chunk: str
    data: bytes
    kind: str = ""
    records: int = 0
    # What is complete once this frame is acked: set in the last frame of a batch.
    positions: Positions | None = None


def random_chunk_id() -> str:
    """128 random bits in base64, as Fluentd's out_forward makes them."""
    return base64.b64encode(os.urandom(16)).decode()


class Sender:
    """Sends until the queue is closed and empty, or `stop` is set. `run` is a thread's whole life.

    `on_acked` is called with the positions of each batch, in order, when all its frames are acked.
    """

    def __init__(
        self,
        *,
        address: Address,
        queue: Queue,
        tag_prefix: str,
        on_acked: Callable[[Positions], None],
        metrics: Metrics,
        pulse: Pulse,
        contact: Pulse,
        stop: Stop,
        clock: Clock,
        backoff: Backoff | None = None,
        new_chunk_id: Callable[[], str] = random_chunk_id,
    ) -> None:
        self._address = address
        self._queue = queue
        self._tag_prefix = tag_prefix
        self._on_acked = on_acked
        self._metrics = metrics
        self._pulse = pulse
        self._contact = contact
        self._stop = stop
        self._clock = clock
        self._backoff = backoff or Backoff(first=0.2, cap=10.0)
        self._new_chunk_id = new_chunk_id
        self._waiting: deque[_Frame] = deque()
        self._link: Link | None = None
        self._trouble: str | None = None

    def run(self) -> None:
        """Send everything."""
        while not self._stop.is_set() and not (self._queue.is_drained and not self._waiting):
            try:
                link = self._connect()
                try:
                    self._resend(link)
                    self._pump(link)
                finally:
                    self._link = None
                    link.close()
            except ForwardError as error:
                self._report(error)
                self._stop.wait(self._backoff.next())
            self._pulse.beat()

    def interrupt(self) -> None:
        """Wake the thread from waiting on the receiver. For another thread, with `stop` set."""
        link = self._link
        if link is not None:
            link.shut()

    def abandon(self) -> None:
        """After `run`: what has no ack yet is no longer ours to send."""
        for frame in self._waiting:
            if frame.records:
                self._metrics.abandoned.labels(frame.kind).inc(frame.records)
        self._waiting.clear()

    def _connect(self) -> Link:
        try:
            link = Link.open(self._address)
        except ForwardError:
            self._metrics.connects.labels("failed").inc()
            raise
        self._metrics.connects.labels("ok").inc()
        self._link = link
        if not self._waiting:
            self._waiting.append(self._empty_frame())  # a connection is proved by its first ack
        return link

    def _resend(self, link: Link) -> None:
        for frame in self._waiting:
            self._send(link, frame)

    def _pump(self, link: Link) -> None:
        """Keep the window full and take in acks until the queue is drained or `stop` is set."""
        while not self._stop.is_set():
            batches_waiting = sum(frame.positions is not None for frame in self._waiting)
            if batches_waiting < WINDOW:
                batch = self._queue.take(patience=0 if self._waiting else HEARTBEAT_SECONDS)
                if batch is not None:
                    self._send_batch(link, batch)
                    continue
                if not self._waiting:
                    if self._queue.is_drained:
                        return
                    self._waiting.append(self._empty_frame())
                    self._send(link, self._waiting[-1])
            self._take_ack(link)
            self._pulse.beat()

    def _send_batch(self, link: Link, batch: Batch) -> None:
        frames = [self._frame(kind, entries) for kind, entries in batch.frames()]
        if not frames:
            self._pass_on(batch.positions)
            return
        frames[-1].positions = batch.positions
        # All of them wait from here on: whatever happens now, they will be sent again.
        self._waiting.extend(frames)
        for kind, count in batch.kinds().items():
            self._metrics.sent.labels(kind).inc(count)
        for frame in frames:
            self._send(link, frame)

    def _pass_on(self, positions: Positions) -> None:
        """Positions without a record (deletions, bookmarks): complete when what came before is."""
        if self._waiting:
            last = self._waiting[-1]
            last.positions = (last.positions or {}) | positions
        else:
            self._on_acked(positions)

    def _send(self, link: Link, frame: _Frame) -> None:
        link.send(frame.data)
        self._metrics.chunks_sent.inc()

    def _take_ack(self, link: Link) -> None:
        frame = self._waiting[0]
        link.await_ack(frame.chunk)
        self._waiting.popleft()
        self._metrics.chunks_acked.inc()
        if frame.records:
            self._metrics.acked.labels(frame.kind).inc(frame.records)
        if frame.positions:
            self._on_acked(frame.positions)
        self._metrics.last_ack.set(self._clock.time())
        self._contact.beat()
        self._recovered()

    def _frame(self, kind: str, entries: Sequence[bytes]) -> _Frame:
        chunk = self._new_chunk_id()
        data = protocol.frame(f"{self._tag_prefix}.{kind}", entries, chunk=chunk)
        return _Frame(chunk, data, kind, len(entries))

    def _empty_frame(self) -> _Frame:
        return self._frame("other", ())

    def _report(self, error: ForwardError) -> None:
        """Count each, log a trouble once until it ends: a paused Fluent Bit cuts many links."""
        self._metrics.errors.labels("sending", error.reason).inc()
        if self._trouble is None and not self._stop.is_set():
            self._trouble = str(error)
            log.error(
                "%s; trying again (see --forward)",
                error,
                extra={"forward": self._address.url, "reason": error.reason},
            )

    def _recovered(self) -> None:
        self._backoff.reset()
        if self._trouble is not None:
            log.info("The sidecar acknowledges again", extra={"forward": self._address.url})
            self._trouble = None
