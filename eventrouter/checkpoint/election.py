"""Leader election after the rules of client-go (tools/leaderelection); the fenced checkpoint."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from eventrouter.checkpoint.contents import Checkpoint
from eventrouter.clock import Alarm, Clock
from eventrouter.errors import ApiError, CheckpointError, Deposed
from eventrouter.kube.lease import (
    RENEW_DEADLINE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    LeaseApi,
    LeaseRecord,
)
from eventrouter.ops.health import Pulse
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.trouble import Trouble

log = logging.getLogger(__name__)

_JITTER = 1.2
# A Lease that somebody deleted is its holder's to write anew: a standby leaves time for a renewal.
_GONE_SECONDS = RENEW_SECONDS + RETRY_SECONDS
# A renewal that takes longer is too late: nobody may see us not leading, and then leading again.
_LATEST_SECONDS = RENEW_DEADLINE_SECONDS - 0.25


class Election:
    """Stands by, leads, stands by again. `run` is a thread's whole life.

    Another's lease is over when it has not changed for its duration by our own monotonic clock;
    clocks of two machines are never compared. Ours is over RENEW_DEADLINE_SECONDS after the start
    of the last renewal that succeeded, which is before anybody else may take it: `is_leading` says
    so to the moment, whatever the thread is doing.

    Also the store of the checkpoint. To write it is to renew the lease, so while checkpoints come
    every few seconds (checkpoint/keeper.py), hardly any other renewal is due. A standby remembers
    the last one that it saw, in case somebody deletes the Lease: there is only more to send again.
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
        note: Callable[[str], None],
        stop: Alarm,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`note` takes a line for /readyz: who leads, while that is another."""
        self._lease = lease
        self._identity = identity
        self._on_elected = on_elected
        self._on_lost = on_lost
        self._metrics = metrics
        self._pulse = pulse
        self._contact = contact
        self._note = note
        self._stop = stop
        self._clock = clock
        self._uniform = uniform
        self._record: LeaseRecord | None = None
        self._observed: object = None
        self._observed_at = 0.0
        self._holder = ""  # as observed, and whether before that another one held it
        self._was_held = False
        self._trouble = Trouble(log, over="The lease can be read and written again")
        self._is_ending = False
        # Guards what follows. Held during a write, so that no two are under way.
        self._renewed = threading.Condition()
        self._renewed_at: float | None = None
        self._checkpoint: bytes | None = None
        self._is_wanted = False  # a renewal, for a checkpoint
        self._tries = 0  # of renewals, when the last one began, and why it failed
        self._tried_at = 0.0
        self._failure: ApiError | None = None

    def run(self) -> None:
        """Take part until stopped."""
        while not self._stop.is_set():
            self._pulse.beat()
            if self._renewed_at is None:
                self._stand_by()
            else:
                self._lead()
            self._stop.wait(self._pause_seconds())

    def is_leading(self) -> bool:
        """Whether we may act as the leader at this moment."""
        renewed_at = self._renewed_at
        return (
            renewed_at is not None and self._clock.monotonic() < renewed_at + RENEW_DEADLINE_SECONDS
        )

    def save(self, checkpoint: Checkpoint, *, now: float) -> None:
        """Have a renewal write the checkpoint, and wait for that. For another thread.

        It comes as soon as RETRY_SECONDS have passed since the last one; if this begins after
        `end`, at once. Raises CheckpointError if it fails, and Deposed once we lead no longer.
        """
        with self._renewed:
            tries = self._tries
            if self.is_leading():
                self._checkpoint = checkpoint.encode(now=now)
                if self._is_ending:
                    self._try_to_renew()
                else:
                    self._is_wanted = True
                    self._stop.wake()
            while self.is_leading() and self._tries == tries:
                # Not for ever, as the leadership may end without a word.
                self._renewed.wait(2 * RETRY_SECONDS)
            if not self.is_leading():
                raise Deposed("cannot write the checkpoint: no longer the leader")
            if self._failure is not None:
                message = f"cannot write the checkpoint: {self._failure}"
                raise CheckpointError(message) from self._failure

    def end(self) -> None:
        """Stopping has begun. A Lease that is gone by now went with the whole installation, and is
        not made anew from here on.
        """
        self._is_ending = True

    def release(self) -> None:
        """Let the next one lead at once. After the last `save`."""
        # Not for ever: a renewal may wait for a name server, or for an exec plugin.
        if not self._renewed.acquire(timeout=RETRY_SECONDS):
            log.warning("Could not release the lease, it will run out: a renewal is under way")
            return
        try:
            if self._record is not None and self.is_leading():
                self._renewed_at = None
                self._write_released(self._record)
        except ApiError as error:
            log.warning("Could not release the lease, it will run out: %s", error)
        finally:
            self._renewed.release()

    def _write_released(self, record: LeaseRecord, *, is_first_try: bool = True) -> None:
        """Once more if somebody edited it and it is still ours."""
        try:
            self._lease.write(record.released(now=self._clock.time(), checkpoint=self._checkpoint))
        except ApiError as error:
            if not is_first_try or error.reason != "conflict":
                raise
            edited = self._lease.read()
            if edited.holder != self._identity:
                raise
            self._write_released(edited, is_first_try=False)

    def _pause_seconds(self) -> float:
        """Until the thread's next turn: a renewal, the deadline, or a look at another's lease."""
        renewed_at = self._renewed_at
        if renewed_at is None:
            return RETRY_SECONDS * self._uniform(1.0, 1.0 + _JITTER)
        if self._failure is not None or self._is_wanted:
            due_at = self._tried_at + RETRY_SECONDS
        else:
            due_at = renewed_at + RENEW_SECONDS
        due_at = min(due_at, renewed_at + RENEW_DEADLINE_SECONDS)
        return max(0.0, due_at - self._clock.monotonic())

    # ---- standing by

    def _stand_by(self) -> None:
        """Look at the lease, and take it if it is free or over."""
        try:
            record = self._lease.read()
            self._observe(record)
            if self._is_anothers(record):
                gone = "the Lease is gone, and its holder may write it anew"
                self._note(f"{record.holder} leads" if record.holder else gone)
                self._trouble.end()
                return
            self._take(record)
        except ApiError as error:
            if error.reason != "conflict":  # another one was faster
                self._report(error)
            return
        self._trouble.end()
        self._announce(record)

    def _observe(self, record: LeaseRecord) -> None:
        """Note when the lease changed last, by our clock, and what checkpoint it has."""
        self._note_contact()
        if record.renewed != self._observed:
            if record.holder not in ("", self._identity):
                log.debug("%s leads", record.holder)
            self._was_held = self._holder not in ("", self._identity)
            self._holder = record.holder
            self._observed, self._observed_at = record.renewed, self._clock.monotonic()
        if record.checkpoint is not None:
            self._checkpoint = record.checkpoint

    def _is_anothers(self, record: LeaseRecord) -> bool:
        """Whether somebody else holds the lease, and it is not over."""
        if record.is_blank:
            seconds = _GONE_SECONDS if self._was_held else 0.0
        elif record.holder in ("", self._identity):
            seconds = 0.0
        else:
            seconds = record.duration_seconds
        return self._clock.monotonic() < self._observed_at + seconds

    def _take(self, record: LeaseRecord) -> None:
        started = self._clock.monotonic()
        with self._renewed:
            self._record = self._write(record)
            self._renewed_at = self._tried_at = started
            self._failure, self._is_wanted = None, False
        self._holder = self._identity

    def _announce(self, record: LeaseRecord) -> None:
        self._metrics.leading.set(1)
        self._note("")
        log.info("Leading as %s", self._identity)
        if record.checkpoint is None and self._checkpoint is not None:
            log.warning("The lease has no checkpoint: going on from the last one that it had")
        self._on_elected(None if self._checkpoint is None else Checkpoint.decode(self._checkpoint))

    # ---- leading

    def _lead(self) -> None:
        """Renew the lease if that is due. Stand by again once it has failed for too long."""
        with self._renewed:
            if self.is_leading() and not self._pause_seconds():
                self._try_to_renew()
            if self.is_leading():
                return
            self._renewed_at = None
            self._renewed.notify_all()
        self._metrics.leading.set(0)
        log.error("Lost the lease: dropping what is unsent and standing by")
        self._on_lost()

    def _try_to_renew(self) -> None:
        """Renew, and tell all that wait for it."""
        self._tried_at = self._clock.monotonic()
        try:
            self._renew(self._tried_at)
        except ApiError as error:
            self._failure = error
            self._report(error)
        else:
            self._failure = None
            self._trouble.end()
        self._is_wanted = False
        self._tries += 1
        self._renewed.notify_all()

    def _renew(self, started: float) -> None:
        """One PUT. Raises ApiError; once deposed, `is_leading` is false from then on.

        One that succeeds after the deadline is too late: others have seen us not leading, and have
        acted on it.
        """
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
        assert self._renewed_at is not None, "only a leader renews"
        is_in_time = self._clock.monotonic() < self._renewed_at + _LATEST_SECONDS
        self._renewed_at = started if is_in_time else started - RENEW_DEADLINE_SECONDS
        self._note_contact()

    def _write(self, record: LeaseRecord | None) -> LeaseRecord:
        assert record is not None, "a leader has read its lease"
        return self._lease.write(
            record.held_by(self._identity, now=self._clock.time(), checkpoint=self._checkpoint)
        )

    def _note_contact(self) -> None:
        self._contact.beat()
        self._metrics.lease_contact.set(self._clock.time())

    def _report(self, error: ApiError) -> None:
        self._metrics.errors.labels("lease", error.reason).inc()
        self._trouble.report(f"The lease: {error}; trying again", reason=error.reason)
