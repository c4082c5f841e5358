"""The one place that wires: builds it all from the settings, starts it and stops it in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from eventrouter.buffer import Buffer, FluentBitBuffer, NoBuffer
from eventrouter.capture import Capture
from eventrouter.checkpoint import Checkpoint, CheckpointStore, FileCheckpoint, NoCheckpoint
from eventrouter.clock import Backoff, SystemClock
from eventrouter.config import Config, Lease
from eventrouter.errors import CheckpointError, ConfigError
from eventrouter.health import Health
from eventrouter.keeper import Keeper
from eventrouter.kube import KubeEvents, load_configuration
from eventrouter.link import Address
from eventrouter.lister import Lister
from eventrouter.metrics import Metrics
from eventrouter.queue import Queue
from eventrouter.record import Shaper
from eventrouter.reflector import Reflector
from eventrouter.retry import Retry
from eventrouter.sender import Sender
from eventrouter.server import HttpServer
from eventrouter.states import OldStates

log = logging.getLogger(__name__)

# A clean stop takes at most this long: what is queued is sent, then the sidecar's buffer may run
# empty. Together below the 30 s that a pod is given by default.
DRAIN_SECONDS = 12.0
SEAL_SECONDS = 10.0


class App:
    """The whole watcher. Raises ConfigError for a setting that is wrong, before any connection."""

    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._reading_stop = threading.Event()
        self._sending_stop = threading.Event()
        self._failed = False
        self._on_failure: Callable[[], None] = lambda: None
        self.metrics = Metrics()
        self.health = Health(self._clock)
        self.queue = Queue(clock=self._clock)
        self._events = KubeEvents(
            load=lambda: load_configuration(settings.kubeconfig),
            field_selector=settings.field_selector,
            metrics=self.metrics,
            clock_time=self._clock.time,
        )
        self._address = Address.parse(settings.forward)
        self._buffer = _buffer(settings)
        self._store = _store(settings)
        self.http = HttpServer(
            settings.listen.host, settings.listen.port, health=self.health, metrics=self.metrics
        )
        self._sender = Sender(
            address=self._address,
            queue=self.queue,
            tag_prefix=settings.tag_prefix,
            on_acked=lambda positions: self._keeper.acked(positions),
            metrics=self.metrics,
            pulse=self.health.thread("sender"),
            contact=self.health.link("sidecar"),
            stop=self._sending_stop,
            clock=self._clock,
        )
        self._publish_gauges()

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Begin. `on_failure` is called, from another thread, if the watcher cannot go on."""
        self._on_failure = on_failure
        scope = self._events.scope()
        checkpoint = self._load_checkpoint(scope)
        self._keeper = Keeper(
            store=self._store,
            buffer=self._buffer,
            scope=scope,
            start=checkpoint,
            metrics=self.metrics,
            pulse=self.health.thread("keeper"),
            clock=self._clock,
        )
        self.http.start()
        self._sender_thread = self._thread("sender", self._sender.run)
        self._keeper_thread = self._thread("keeper", self._keeper.run)
        identity = self._buffer.identity()
        for namespace in self._settings.namespaces or ("",):
            start = None
            if checkpoint is not None:
                start = checkpoint.resume_at(namespace, scope=scope, buffer=identity)
            reflector = self._reflector(namespace)
            log.info(
                "Following events from %s to %s",
                self._events.server,
                self._settings.forward,
                extra={"namespace": namespace, "resource_version": start},
            )
            self._thread(f"events {namespace}".strip(), partial(reflector.run, start))

    def stop(self) -> bool:
        """Stop reading, send what is queued, let the buffer run empty, write the checkpoint.

        All within DRAIN_SECONDS and SEAL_SECONDS. False after a failure of ours.
        """
        self._reading_stop.set()
        self._events.close()
        self.queue.close()
        self._sender_thread.join(DRAIN_SECONDS)
        self._sending_stop.set()
        self._sender.abort()
        self._keeper.stop()
        self._sender_thread.join(1)
        self._keeper_thread.join(2)
        deadline = self._clock.monotonic() + SEAL_SECONDS
        while not (sealed := self._keeper.settle()) and self._clock.monotonic() < deadline:
            time.sleep(0.2)
        self.http.close()
        unacked = self.metrics.total(self.metrics.received) - self.metrics.total(self.metrics.acked)
        log.info(
            "Stopped",
            extra={
                "acked": self.metrics.total(self.metrics.acked),
                "unacked": unacked - self.metrics.total(self.metrics.discarded),
                "buffer_empty": sealed,
            },
        )
        return not self._failed

    def _reflector(self, namespace: str) -> Reflector:
        settings = self._settings
        name = f"events {namespace}".strip()
        cache = settings.old_event_cache // (len(settings.namespaces) or 1)
        retry = Retry(
            namespace=namespace, backoff=Backoff(), stop=self._reading_stop, metrics=self.metrics
        )
        return Reflector(
            namespace=namespace,
            lister=Lister(
                namespace=namespace,
                get_page=self._events.page,
                retry=retry,
                stop=self._reading_stop,
            ),
            watch=self._events.watch,
            retry=retry,
            capture=Capture(
                shaper=Shaper(cluster=settings.cluster_name),
                states=OldStates(cache),
                metrics=self.metrics,
            ),
            queue=self.queue,
            metrics=self.metrics,
            pulse=self.health.thread(name),
            contact=self.health.link(name),
            stop=self._reading_stop,
            clock=self._clock,
        )

    def _load_checkpoint(self, scope: str) -> Checkpoint | None:
        try:
            checkpoint = self._store.load()
        except CheckpointError as error:
            raise ConfigError("--checkpoint", str(error)) from error
        if checkpoint is not None and checkpoint.scope != scope:
            log.warning(
                "The checkpoint is of another API server or selector: listing everything anew"
            )
        return checkpoint

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(name, work), name=name, daemon=True)
        thread.start()
        return thread

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """A bug must not leave half of a watcher running: whatever escapes ends the process."""
        try:
            work()
        except Exception:
            log.critical("The thread %s failed; giving up", name, exc_info=True)
            self._failed = True
            self._on_failure()

    def _publish_gauges(self) -> None:
        metrics, queue = self.metrics, self.queue
        metrics.watch_gauge("eventrouter_queue_events", "Records queued.", lambda: queue.records)
        metrics.watch_gauge("eventrouter_queue_bytes", "Bytes queued.", lambda: queue.size)
        metrics.watch_gauge(
            "eventrouter_events_in_flight",
            "Records sent and not yet acknowledged.",
            lambda: metrics.total(metrics.sent) - metrics.total(metrics.acked),
        )


def _buffer(settings: Config) -> Buffer:
    return NoBuffer() if settings.buffer_path is None else FluentBitBuffer(settings.buffer_path)


def _store(settings: Config) -> CheckpointStore:
    if settings.checkpoint is None:
        return NoCheckpoint()
    if isinstance(settings.checkpoint, Lease):
        raise ConfigError("--checkpoint", "lease: is not available yet; use file:PATH or none")
    return FileCheckpoint(settings.checkpoint)
