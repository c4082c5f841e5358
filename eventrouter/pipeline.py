"""The pipeline: wires reflectors, queue, sender and keeper for one run from start to stop.

A leader has one for as long as it leads. Without a Lease one pipeline lasts for the process's life.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from eventrouter.capture.batcher import Batcher
from eventrouter.capture.following import build_reflector, name_of
from eventrouter.capture.reflector import Reflector
from eventrouter.checkpoint.backlog import Backlog
from eventrouter.checkpoint.buffer import Buffer
from eventrouter.checkpoint.contents import Checkpoint, resume
from eventrouter.checkpoint.keeper import Keeper
from eventrouter.checkpoint.stores import CheckpointStore
from eventrouter.clock import Clock
from eventrouter.config import Config
from eventrouter.forward import pacing
from eventrouter.forward.connection import Address
from eventrouter.forward.queue import Queue
from eventrouter.forward.sender import Sender
from eventrouter.kube.api import KubeApi
from eventrouter.kube.events import KubeEvents
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# A clean stop takes at most this long: the sender sends what is queued, then the sidecar's outputs
# may empty its buffer. Together below the 30 s that a pod is given by default.
DRAIN_SECONDS = 12.0
DELIVERY_SECONDS = 10.0
# For all threads together: one that waits for an API server that says nothing is left to itself.
_JOIN_SECONDS = 2.0

Spawn = Callable[[str, Callable[[], None]], threading.Thread]
# By the revision up to which an earlier run has handed over: what makes a reflector's batcher.
BatcherMakers = Callable[[int], Callable[..., Batcher]]


class SendingStop:
    """A stop that is also set while the watcher may not send."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send = may_send
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set() or not self._may_send()

    def wait(self, timeout: float | None = None) -> bool:
        return self._event.wait(timeout) or self.is_set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all pipelines of a process share: the other programs that they meet, and its tools.

    `source_id` names what resourceVersions are valid for. `may_send` says whether we lead.
    """

    api: KubeApi
    address: Address
    buffer: Buffer
    store: CheckpointStore
    source_id: str
    may_send: Callable[[], bool]
    spawn: Spawn
    metrics: Metrics
    clock: Clock
    batchers: BatcherMakers = lambda _: Batcher


class Pipeline:
    """Takes events in, hands records over, keeps the positions. Start it once and end it once."""

    def __init__(
        self,
        settings: Config,
        surroundings: Surroundings,
        *,
        last: Checkpoint | None,
        health: Health,
    ) -> None:
        """`last` is the checkpoint to go on from, as far as it is good for that."""
        self._settings = settings
        self._namespaces = settings.namespaces or ("",)
        self._health = health
        self._spawn = surroundings.spawn
        self._batchers = surroundings.batchers
        self._metrics = metrics = surroundings.metrics
        self._clock = clock = surroundings.clock
        self._reading_stop = threading.Event()
        self._sending_stop = SendingStop(surroundings.may_send)
        self._threads: list[threading.Thread] = []
        self._reflectors: list[Reflector] = []
        self._events = KubeEvents(
            api=surroundings.api, field_selector=settings.field_selector, metrics=metrics
        )
        buffer = surroundings.buffer
        self._resumption = resume(last, source_id=surroundings.source_id, buffer=buffer.identity)
        self._backlog = Backlog(buffer=buffer, metrics=metrics, note=health.note, clock=clock)
        self._queue = Queue(
            linger_seconds=lambda: pacing.linger_seconds(self._backlog.chunks),
            is_collecting=lambda: pacing.is_collecting(self._backlog.chunks),
            clock=clock,
        )
        metrics.queue_events.set_function(lambda: self._queue.records)
        metrics.queue_bytes.set_function(lambda: self._queue.size_bytes)
        self._keeper = Keeper(
            kept=self._resumption.kept,
            followed=set(self._namespaces),
            store=surroundings.store,
            buffer=buffer,
            backlog=self._backlog,
            metrics=metrics,
            pulse=health.thread("keeper"),
            clock=clock,
        )
        self._sender = Sender(
            address=surroundings.address,
            queue=self._queue,
            tag_prefix=settings.tag_prefix,
            on_acked=self._keeper.acked,
            metrics=metrics,
            pulse=health.thread("sender"),
            contact=health.link("sidecar"),
            stop=self._sending_stop,
            clock=clock,
        )

    def start(self) -> None:
        """Start all threads, the reflectors where the last run's positions are."""
        if self._resumption.problem:
            log.warning(
                "%s: listing everything anew, at the oldest revision that the API server holds",
                self._resumption.problem,
            )
        self._sending = self._spawn("sender", self._sender.run)
        self._keeping = self._spawn("keeper", self._keeper.run)
        for namespace in self._namespaces:
            start = self._resumption.start(namespace)
            log.info(
                "Following events",
                extra={
                    "namespace": namespace,
                    "resource_version": start.resume_at,
                    "list_at": start.list_at,
                },
            )
            reflector = self._reflector(namespace)
            self._reflectors.append(reflector)
            run = partial(reflector.run, start.resume_at, list_at=start.list_at)
            self._threads.append(self._spawn(name_of(namespace), run))

    def stop(self) -> None:
        """Stop reading, send what is queued, let the buffer run empty, write the checkpoint.

        All within DRAIN_SECONDS and DELIVERY_SECONDS.
        """
        self._end_reading()
        is_anything_left = self._queue.records or self._metrics.in_flight()
        self._sending.join(DRAIN_SECONDS if is_anything_left else 1)
        self._end_sending()
        is_buffer_empty = self._keeper.wait_delivered(DELIVERY_SECONDS)
        self._join()
        metrics = self._metrics
        log.info(
            "Stopped",
            extra={
                "acknowledged": metrics.total(metrics.acked),
                "unsent": self._queue.records,
                "unacknowledged": metrics.in_flight(),
                "buffer_is_empty": is_buffer_empty,
            },
        )

    def abandon(self) -> None:
        """Drop everything at once: another watcher leads, and sends what is dropped here."""
        self._end_reading()
        self._end_sending()
        self._keeper.stop()
        self._join()
        self._metrics.discarded.labels("leadership_lost").inc(self._queue.records)
        self._queue.clear()
        self._sender.abandon()
        self._backlog.lose_sight("")
        self._metrics.show_positions()

    def _end_reading(self) -> None:
        self._reading_stop.set()
        self._events.close()
        self._queue.close()

    def _end_sending(self) -> None:
        self._sending_stop.set()
        self._sender.interrupt()
        self._sending.join(_JOIN_SECONDS)

    def _join(self) -> None:
        deadline = self._clock.monotonic() + _JOIN_SECONDS
        for thread in (*self._threads, self._keeping):
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        for reflector in self._reflectors:
            reflector.end()

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
            make_batcher=self._batchers(self._resumption.repeats_up_to(namespace)),
        )
