"""The pipeline: reflectors, queue, sender and keeper, wired for one run from start to stop.

A leader has one for as long as it leads; without a Lease there is one for the process's life.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from eventrouter.capture.following import build_reflector, name_of
from eventrouter.capture.lister import OLDEST
from eventrouter.capture.reflector import Reflector
from eventrouter.checkpoint.buffer import Buffer
from eventrouter.checkpoint.keeper import Keeper
from eventrouter.checkpoint.stores import LOST, Checkpoint, CheckpointWriter
from eventrouter.clock import Clock
from eventrouter.config import Config
from eventrouter.forward.connection import Address
from eventrouter.forward.queue import Queue
from eventrouter.forward.sender import Sender
from eventrouter.kube.events import KubeEvents
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# A clean stop takes at most this long: what is queued is sent, then the sidecar's buffer may run
# empty. Together below the 30 s that a pod is given by default.
DRAIN_SECONDS = 12.0
SEAL_SECONDS = 10.0

Spawn = Callable[[str, Callable[[], None]], threading.Thread]


class SendingStop:
    """Set by hand, and by itself as soon as we may no longer send."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send = may_send
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set() or not self._may_send()

    def wait(self, timeout: float | None = None) -> bool:
        return self._event.wait(timeout) or self.is_set()


class Pipeline:
    """Events in, acknowledged records out, positions kept. To be started once and ended once."""

    def __init__(
        self,
        settings: Config,
        *,
        events: KubeEvents,
        address: Address,
        buffer: Buffer,
        writer: CheckpointWriter,
        scope: str,
        may_send: Callable[[], bool],
        spawn: Spawn,
        health: Health,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._events = events
        self._buffer = buffer
        self._scope = scope
        self._spawn = spawn
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._reading_stop = threading.Event()
        self._sending_stop = SendingStop(may_send)
        self._threads: list[threading.Thread] = []
        self._queue = Queue(clock=clock)
        metrics.queue_events.set_function(lambda: self._queue.records)
        metrics.queue_bytes.set_function(lambda: self._queue.size_bytes)
        self._keeper = Keeper(
            writer=writer,
            buffer=buffer,
            scope=scope,
            metrics=metrics,
            pulse=health.thread("keeper"),
            clock=clock,
        )
        self._sender = Sender(
            address=address,
            queue=self._queue,
            tag_prefix=settings.tag_prefix,
            on_acked=self._keeper.acked,
            metrics=metrics,
            pulse=health.thread("sender"),
            contact=health.link("sidecar"),
            stop=self._sending_stop,
            clock=clock,
        )

    def start(self, checkpoint: Checkpoint | None) -> None:
        """Go on from the checkpoint, as far as it is one of this scope, else from a full list."""
        identity = self._buffer.identity()
        anew_at = None
        if checkpoint is LOST:
            checkpoint, anew_at = None, OLDEST
        if checkpoint is not None and checkpoint.scope != self._scope:
            log.warning(
                "The checkpoint is of another API server or selector: listing everything anew"
            )
            checkpoint = None
        self._keeper.start_from(checkpoint)
        self._sending = self._spawn("sender", self._sender.run)
        self._keeping = self._spawn("keeper", self._keeper.run)
        for namespace in self._settings.namespaces or ("",):
            position, list_at = None, anew_at
            if checkpoint is not None:
                position = checkpoint.resume_at(namespace, scope=self._scope, buffer=identity)
                list_at = checkpoint.started.get(namespace)
            log.info(
                "Following events",
                extra={"namespace": namespace, "resource_version": position},
            )
            reflector = self._reflector(namespace)
            run = partial(reflector.run, position, list_at=list_at)
            self._threads.append(self._spawn(name_of(namespace), run))

    def stop(self) -> None:
        """Stop reading, send what is queued, let the buffer run empty, write the checkpoint.

        All within DRAIN_SECONDS and SEAL_SECONDS.
        """
        self._end_reading()
        is_anything_left = self._queue.records or self._metrics.in_flight()
        self._sending.join(DRAIN_SECONDS if is_anything_left else 1)
        self._end_sending()
        is_sealed = self._keeper.seal(SEAL_SECONDS)
        metrics = self._metrics
        log.info(
            "Stopped",
            extra={
                "acknowledged": metrics.total(metrics.acked),
                "unsent": self._queue.records,
                "unacknowledged": metrics.in_flight(),
                "buffer_is_empty": is_sealed,
            },
        )

    def abandon(self) -> None:
        """Drop everything at once: another one leads. It finds what is dropped here by itself."""
        self._end_reading()
        self._end_sending()
        self._metrics.discarded.labels("leadership_lost").inc(self._queue.records)
        self._queue.clear()
        self._sender.abandon()

    def _end_reading(self) -> None:
        self._reading_stop.set()
        self._events.close()
        self._queue.close()

    def _end_sending(self) -> None:
        self._sending_stop.set()
        self._sender.interrupt()
        self._keeper.stop()
        for thread in (*self._threads, self._sending, self._keeping):
            thread.join(2)

    def _reflector(self, namespace: str) -> Reflector:
        settings = self._settings
        return build_reflector(
            namespace=namespace,
            source=self._events,
            queue=self._queue,
            progress=self._keeper,
            cluster=settings.cluster_name,
            old_event_cache_bytes=settings.old_event_cache // (len(settings.namespaces) or 1),
            metrics=self._metrics,
            health=self._health,
            stop=self._reading_stop,
            clock=self._clock,
        )
