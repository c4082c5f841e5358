"""The application: builds everything from the settings, starts it and stops it in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eventrouter.capture.batcher import Batcher
from eventrouter.checkpoint.buffer import Buffer, FluentBitBuffer, NoBuffer
from eventrouter.checkpoint.contents import Checkpoint, source_id
from eventrouter.checkpoint.election import Election
from eventrouter.checkpoint.stores import CheckpointStore, FileCheckpoint, NoCheckpoint
from eventrouter.clock import Alarm, SystemClock
from eventrouter.config import Config, LeaseRef, checked
from eventrouter.errors import CheckpointError, ConfigError
from eventrouter.forward.connection import Address
from eventrouter.kube.api import KubeApi
from eventrouter.kube.credentials import Credentials
from eventrouter.kube.lease import KubeLease
from eventrouter.ops.health import Health
from eventrouter.ops.http import HttpServer
from eventrouter.ops.metrics import Metrics
from eventrouter.ops.setup_report import SetupReports
from eventrouter.pipeline import BatcherMakers, Pipeline, Surroundings

if TYPE_CHECKING:
    from eventrouter.enrich.enricher import Enricher

log = logging.getLogger(__name__)


class App:
    """The whole watcher. Raises ConfigError for a wrong setting, before any connection.

    With a Lease a pipeline runs while this watcher leads; without one, from start to stop.
    """

    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._is_stopping = threading.Event()
        self._is_failed = False
        self._on_failure: Callable[[], None] = self._is_stopping.set
        self._changing = threading.Lock()
        self._pipeline: Pipeline | None = None
        self.metrics = Metrics()
        self.health = Health(self._clock)
        if settings.setup_reports:
            reports = SetupReports(settings.setup_reports)
            self.metrics.add_setup(reports.series)
            self.health.add_notes(reports.notes)
        self._api = KubeApi(
            credentials=Credentials.of(settings.kubeconfig, clock=self._clock),
            answered=self._note_contact,
        )
        self._address = checked("--forward", settings.forward, Address.parse)
        buffer = _buffer(settings)
        self._election: Election | None = None
        self._election_stop = Alarm()
        self._checkpoint: Checkpoint | None = None
        store: CheckpointStore
        if isinstance(settings.checkpoint, LeaseRef):
            store = self._election = self._new_election(settings.checkpoint)
        else:
            store, self._checkpoint = _load(settings.checkpoint)
        self._enricher = self._new_enricher() if settings.enrich else None
        self._surroundings = Surroundings(
            api=self._api,
            address=self._address,
            buffer=buffer,
            store=store,
            source_id=source_id(
                server=None if self._election else self._api.server,
                field_selector=settings.field_selector,
            ),
            may_send=self._election.is_leading if self._election else lambda: True,
            spawn=self._spawn,
            metrics=self.metrics,
            clock=self._clock,
            batchers=_batchers(settings, self.metrics, self._enricher),
        )
        self.http = HttpServer(
            settings.listen.host, settings.listen.port, health=self.health, metrics=self.metrics
        )

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Start. A thread that fails calls `on_failure`: the watcher cannot go on."""
        self._on_failure = on_failure
        self.http.start()
        log.info(
            "Started",
            extra={"server": self._api.server, "forward": self._address.url},
        )
        if self._enricher is not None:
            self._enricher.start(self._spawn)
        if self._election is None:
            self._begin(self._checkpoint)
            self.metrics.leading.set(1)
        else:
            self._election_thread = self._spawn("election", self._election.run)

    def stop(self) -> bool:
        """Stop the pipeline, then release the lease. False if a thread has failed."""
        self._is_stopping.set()
        if self._election is not None:
            self._election.end()
        if self._enricher is not None:
            self._enricher.close()
        with self._changing:
            pipeline = self._pipeline
        if pipeline is not None:
            pipeline.stop()
        if self._election is not None:
            self._election_stop.set()
            self._election_thread.join(2)  # it may be about to take the lease
            self._election.release()
        self.http.close()
        return not self._is_failed

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        """Start a pipeline: at the start, or on being elected."""
        with self._changing:
            if self._is_stopping.is_set():
                return
            self._pipeline = Pipeline(
                self._settings, self._surroundings, last=checkpoint, health=self.health.part()
            )
            self._pipeline.start()

    def _abandon(self) -> None:
        """Another watcher leads. While stopping the pipeline ends by itself: it may not send."""
        with self._changing:
            if self._pipeline is not None and not self._is_stopping.is_set():
                self._pipeline.abandon()
                self._pipeline = None
                self.health.drop_parts()

    def _new_election(self, lease: LeaseRef) -> Election:
        return Election(
            lease=KubeLease(api=self._api, namespace=lease.namespace, name=lease.name),
            identity=self._settings.identity,
            on_elected=self._begin,
            on_lost=self._abandon,
            metrics=self.metrics,
            pulse=self.health.thread("election"),
            contact=self.health.link("lease"),
            note=partial(self.health.note, "standby"),
            stop=self._election_stop,
            clock=self._clock,
        )

    def _new_enricher(self) -> Enricher:
        from eventrouter.enrich.enricher import Enricher
        from eventrouter.enrich.kinds import Kinds
        from eventrouter.kube.metadata import KubeMetadata

        settings = self._settings
        return Enricher(
            api=KubeMetadata(api=self._api),
            kinds=Kinds(settings.enrich),
            label_keys=settings.enrich_labels,
            annotation_keys=settings.enrich_annotations,
            cache_bytes=settings.enrich_cache,
            per_second=settings.enrich_rate,
            add_metrics=self.metrics.add_enrichment,
            clock=self._clock,
        )

    def _note_contact(self) -> None:
        self.metrics.last_contact.set(self._clock.time())

    def _spawn(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(name, work), name=name, daemon=True)
        thread.start()
        return thread

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """End the process if a thread fails: a bug must not leave half of a watcher running."""
        try:
            work()
        except Exception:
            log.critical("The thread %s failed; giving up", name, exc_info=True)
            self._is_failed = True
            self._on_failure()


def _buffer(settings: Config) -> Buffer:
    return NoBuffer() if settings.buffer_path is None else FluentBitBuffer(settings.buffer_path)


def _batchers(settings: Config, metrics: Metrics, enricher: Enricher | None) -> BatcherMakers:
    """What makes the reflectors' batchers: nothing of what is off by default, unless asked for."""
    if not settings.count_events and enricher is None:
        return lambda _: Batcher
    from eventrouter.capture.extras import ExtrasBatcher
    from eventrouter.capture.occurrences import Occurrences

    if enricher is not None:
        from eventrouter.enrich.details import Details
    occurrences: Occurrences | None = None
    if settings.count_events:
        occurrences = Occurrences(max_series=settings.count_events_series)
        metrics.add_occurrences(occurrences.show, occurrences.__len__, limit=occurrences.max_series)
    return lambda repeats_up_to: partial(
        ExtrasBatcher,
        occurrences=occurrences,
        details=Details(enricher) if enricher else None,
        repeats_up_to=repeats_up_to,
    )


def _load(path: Path | None) -> tuple[CheckpointStore, Checkpoint | None]:
    store = NoCheckpoint() if path is None else FileCheckpoint(path)
    try:
        return store, store.load()
    except CheckpointError as error:
        raise ConfigError("--checkpoint", str(error)) from error
