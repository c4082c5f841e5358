"""Leader election after the rules of client-go (tools/leaderelection); the fenced checkpoint."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from eventrouter.checkpoint.stores import LOST, Checkpoint
from eventrouter.clock import Clock, Stop
from eventrouter.errors import ApiError, CheckpointError, Deposed
from eventrouter.kube.lease import RENEW_DEADLINE_SECONDS, RETRY_SECONDS, LeaseApi, LeaseRecord
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

_JITTER = 1.2


class Election:
    """Stands by, leads, stands by again. `run` is a thread's whole life.

    Another's lease is over when it has not changed for its duration by our own monotonic clock;
    clocks of two machines are never compared. Ours is over RENEW_DEADLINE_SECONDS after the start
    of the last renewal that succeeded, which is well before anybody else may take it:
    `is_leading` says so to the moment, whatever the thread is doing.

    Also the store of the checkpoint: `save` renews the lease and writes the checkpoint in one PUT.
    Whoever stands by remembers the one that it saw last, for the case that somebody deletes the
    Lease: an older position is as good as the newest, there is only more to send again.
    """

    def __init__(
        self,
        *,
        lease: LeaseApi,
        identity: str,
        on_elected: Callable[[Checkpoint | None], None],
        on_lost: Callable[[], None],
        metrics: Metrics,
        pulse: Pulse,
        contact: Pulse,
        stop: Stop,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._lease = lease
        self._identity = identity
        self._on_elected = on_elected
        self._on_lost = on_lost
        self._metrics = metrics
        self._pulse = pulse
        self._contact = contact
        self._stop = stop
        self._clock = clock
        self._uniform = uniform
        self._writing = threading.RLock()
        self._record: LeaseRecord | None = None
        self._observed: object = None
        self._observed_at = 0.0
        self._renewed_at: float | None = None
        self._checkpoint: bytes | None = None
        self._trouble: str | None = None
        self._is_ending = False

    def run(self) -> None:
        """Take part until stopped."""
        while not self._stop.is_set():
            self._pulse.beat()
            if self._renewed_at is None:
                self._stand_by()
                self._stop.wait(RETRY_SECONDS * self._uniform(1.0, 1.0 + _JITTER))
            else:
                self._lead()
                self._stop.wait(RETRY_SECONDS)

    def is_leading(self) -> bool:
        """Whether we may act as the leader at this moment."""
        renewed_at = self._renewed_at
        return (
            renewed_at is not None and self._clock.monotonic() < renewed_at + RENEW_DEADLINE_SECONDS
        )

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        """Write the checkpoint into the Lease. Raises CheckpointError, always so once deposed."""
        with self._writing:
            if not self.is_leading():
                raise Deposed("cannot write the checkpoint: no longer the leader")
            self._checkpoint = checkpoint.encode(now=now)
            try:
                self._renew()
            except ApiError as error:
                raise CheckpointError(f"cannot write the checkpoint: {error}") from error

    def end(self) -> None:
        """Stopping has begun. A Lease that is gone by now went with the whole installation: from
        here on it is not made anew.
        """
        self._is_ending = True

    def release(self) -> None:
        """Let the next one lead at once. After the last `save`."""
        with self._writing:
            if self._record is None or not self.is_leading():
                return
            self._renewed_at = None
            try:
                self._lease.write(
                    self._record.released(now=self._clock.time(), checkpoint=self._checkpoint)
                )
            except ApiError as error:
                log.warning("Could not release the lease, it will run out: %s", error)

    def _stand_by(self) -> None:
        """Look at the lease, take it if it is free or over."""
        try:
            record = self._lease.read()
            self._contact.beat()
            now = self._clock.monotonic()
            if record.renewed != self._observed:
                if record.holder not in ("", self._identity):
                    log.debug("%s leads", record.holder)
                self._observed, self._observed_at = record.renewed, now
            if record.checkpoint is not None:
                self._checkpoint = record.checkpoint
            is_taken = record.holder not in ("", self._identity)
            if is_taken and now < self._observed_at + record.duration_seconds:
                self._recovered()
                return
            with self._writing:
                self._record = self._write(record)
                self._renewed_at = now
        except ApiError as error:
            if error.reason != "conflict":  # another one was faster
                self._report(error)
            return
        self._recovered()
        self._metrics.leading.set(1)
        log.info("Leading as %s", self._identity)
        if record.checkpoint is None and self._checkpoint is not None:
            log.warning("The lease has no checkpoint: going on from the last one that it had")
        self._on_elected(_decode(self._checkpoint))

    def _lead(self) -> None:
        """Renew when it is time to; stand by again when that is no longer possible."""
        try:
            with self._writing:
                if self.is_leading() and self._is_due():
                    self._renew()
        except ApiError as error:
            self._report(error)
        if not self.is_leading():
            self._renewed_at = None
            self._metrics.leading.set(0)
            log.error("Lost the lease: dropping what is unsent and standing by")
            self._on_lost()

    def _is_due(self) -> bool:
        return (
            self._renewed_at is not None
            and self._clock.monotonic() >= self._renewed_at + RETRY_SECONDS / 2
        )

    def _renew(self) -> None:
        """One PUT. Raises ApiError; once deposed, `is_leading` is false from then on."""
        started = self._clock.monotonic()
        try:
            self._record = self._write(self._record)
        except ApiError as error:
            if error.reason != "conflict" and error.status != 404:
                raise
            if self._is_ending and error.status == 404:
                raise
            # Somebody edited it, or deleted it: still ours. But if it is free now another one has
            # led meanwhile, and its checkpoint is not ours to replace.
            record = self._lease.read()
            if record.holder != self._identity and not record.is_blank:
                self._renewed_at = started - RENEW_DEADLINE_SECONDS
                raise
            self._record = self._write(record)
        self._renewed_at = started
        self._contact.beat()
        self._recovered()

    def _write(self, record: LeaseRecord | None) -> LeaseRecord:
        assert record is not None, "a leader has read its lease"
        return self._lease.write(
            record.held_by(self._identity, now=self._clock.time(), checkpoint=self._checkpoint)
        )

    def _report(self, error: ApiError) -> None:
        self._metrics.errors.labels("lease", error.reason).inc()
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.error("The lease: %s; trying again", error, extra={"reason": error.reason})

    def _recovered(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            log.info("The lease can be read and written again")


def _decode(data: bytes | None) -> Checkpoint | None:
    if data is None:
        return None
    checkpoint = Checkpoint.decode(data)
    if checkpoint is None:
        log.warning("The checkpoint in the lease cannot be understood: listing everything anew")
        return LOST
    return checkpoint
