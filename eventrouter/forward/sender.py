"""The sender: takes batches off the queue and resends each chunk until it is acknowledged.

One thread, no selector: while there is room in the window and something to send it sends, else
it waits for the oldest ack. A batch that comes meanwhile waits no longer than an ack takes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eventrouter.clock import Backoff, Clock, Stop
from eventrouter.errors import ForwardError
from eventrouter.forward import protocol
from eventrouter.forward.batch import Batch, Positions
from eventrouter.forward.connection import Address, Connection, random_chunk_id
from eventrouter.forward.queue import Queue
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.trouble import Trouble

log = logging.getLogger(__name__)

# Batches on the way at once. Four keep Fluent Bit's input busy; more would wait in its socket.
WINDOW = 4
# An idle connection is pinged this often.
HEARTBEAT_SECONDS = 30.0


@dataclass(slots=True)
class _Chunk:
    """A chunk on the way. A resend has the same bytes under the same id."""

    id: str
    data: bytes
    tag_suffix: str
    records: int
    # What is complete once this chunk is acked: set in the last chunk of a batch.
    positions: Positions | None = None


class Sender:
    """Sends until the queue is closed and empty, or `stop` is set. `run` is a thread's whole life.

    `on_acked` is called with the positions of each batch, in order, when all its chunks are acked.
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
        self._waiting: deque[_Chunk] = deque()
        self._connection: Connection | None = None
        self._trouble = Trouble(log, over="The sidecar acknowledges again", forward=address.url)

    def run(self) -> None:
        """Send everything."""
        while not self._stop.is_set() and not (self._queue.is_drained and not self._waiting):
            try:
                connection = self._connect()
                try:
                    self._resend(connection)
                    self._pump(connection)
                finally:
                    self._connection = None
                    connection.close()
            except ForwardError as error:
                self._report(error)
                self._stop.wait(self._backoff.next())
            self._pulse.beat()

    def interrupt(self) -> None:
        """Wake the thread from waiting on the receiver. For another thread, with `stop` set."""
        connection = self._connection
        if connection is not None:
            connection.shut()

    def abandon(self) -> None:
        """After `run`: count what has no ack yet as abandoned. The next leader sends it."""
        for chunk in self._waiting:
            self._metrics.abandoned.labels(chunk.tag_suffix).inc(chunk.records)
        self._waiting.clear()

    def _connect(self) -> Connection:
        try:
            connection = Connection.open(self._address)
        except ForwardError:
            self._metrics.connects.labels("failed").inc()
            raise
        self._metrics.connects.labels("ok").inc()
        self._connection = connection
        return connection

    def _resend(self, connection: Connection) -> None:
        for chunk in self._waiting:
            self._send(connection, chunk)

    def _pump(self, connection: Connection) -> None:
        """Keep the window full and take in acks until the queue is drained or `stop` is set."""
        heartbeat_seconds = 0.0  # a new connection is proved by its first ack, so at once
        while not self._stop.is_set():
            batches_waiting = sum(chunk.positions is not None for chunk in self._waiting)
            if batches_waiting < WINDOW:
                batch = self._queue.take(patience_seconds=0 if self._waiting else heartbeat_seconds)
                if batch is not None:
                    self._send_batch(connection, batch)
                    continue
                if not self._waiting:
                    if self._queue.is_drained:
                        return
                    self._ping(connection)
            if self._waiting:
                self._take_ack(connection)
            heartbeat_seconds = HEARTBEAT_SECONDS
            self._pulse.beat()

    def _send_batch(self, connection: Connection, batch: Batch) -> None:
        chunks = [self._chunk(tag_suffix, entries) for tag_suffix, entries in batch.chunks()]
        if not chunks:
            self._pass_on(batch.positions)
            return
        chunks[-1].positions = batch.positions
        # All of them wait from here on: whatever happens now, they will be sent again.
        self._waiting.extend(chunks)
        for tag_suffix, count in batch.counts().items():
            self._metrics.sent.labels(tag_suffix).inc(count)
        for chunk in chunks:
            self._send(connection, chunk)

    def _pass_on(self, positions: Positions) -> None:
        """Positions without a record (deletions, bookmarks) wait for the chunks before them."""
        if self._waiting:
            last = self._waiting[-1]
            last.positions = (last.positions or {}) | positions
        else:
            self._on_acked(positions)

    def _send(self, connection: Connection, chunk: _Chunk) -> None:
        if self._stop.is_set():  # perhaps since the batch was waited for: another one sends it
            return
        connection.send(chunk.data)
        self._metrics.chunks_sent.inc()

    def _take_ack(self, connection: Connection) -> None:
        chunk = self._waiting[0]
        connection.await_ack(chunk.id)
        self._waiting.popleft()
        self._metrics.acked.labels(chunk.tag_suffix).inc(chunk.records)
        if chunk.positions:
            self._on_acked(chunk.positions)
        self._note_ack()

    def _ping(self, connection: Connection) -> None:
        self._metrics.chunks_sent.inc()
        connection.ping(f"{self._tag_prefix}.other")
        self._note_ack()

    def _note_ack(self) -> None:
        self._metrics.chunks_acked.inc()
        self._metrics.last_ack.set(self._clock.time())
        self._contact.beat()
        self._backoff.reset()
        self._trouble.end()

    def _chunk(self, tag_suffix: str, entries: Sequence[bytes]) -> _Chunk:
        chunk_id = random_chunk_id()
        data = protocol.encode(f"{self._tag_prefix}.{tag_suffix}", entries, chunk_id=chunk_id)
        return _Chunk(chunk_id, data, tag_suffix, len(entries))

    def _report(self, error: ForwardError) -> None:
        """Count every error, and log a new one: a paused Fluent Bit cuts many connections."""
        self._metrics.errors.labels("sending", error.reason).inc()
        if not self._stop.is_set():
            self._trouble.report(f"{error}; trying again (see --forward)", reason=error.reason)
