"""Looks up objects in the background: few at once, so many a second, and each only once.

A reflector that has events about objects that nobody knows asks for them and waits a moment. What
comes later is there for later states.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from eventrouter.clock import Backoff, Clock
from eventrouter.config import ObjectKind
from eventrouter.enrich.allowance import Allowance, patience
from eventrouter.enrich.cache import Cache, Entry, Owner, State
from eventrouter.enrich.keys import select
from eventrouter.enrich.kinds import Kinds
from eventrouter.enrich.owners import Walk, walk
from eventrouter.enrich.subject import Target, target
from eventrouter.errors import ApiError
from eventrouter.kube.metadata import Metadata
from eventrouter.ops.metrics import EnrichmentMetrics
from eventrouter.ops.trouble import Trouble

log = logging.getLogger(__name__)

# So many requests are on the way at once: the API server's flow control counts those, not how many
# there are in a second.
WORKERS = 4
# Beyond so many that wait for a worker no more are taken.
MAX_WAITING = 200
# How long what was found, or not found, is good for; and how long a missing right is believed in.
TTL_SECONDS = 600.0
REFUSAL_SECONDS = 60.0
# Labels and annotations of one object; more of them are left out.
MAX_CONTENT_BYTES = 16 * 1024
# Of an owner's texts together; longer ones are nobody's name.
_MAX_OWNER_CHARACTERS = 1024


class MetadataApi(Protocol):
    """Objects in the API server (kube/metadata.py)."""

    def get(self, path: str) -> Metadata | None: ...


class Enricher:
    """The cache of all reflectors, and the threads that fill it: each runs `work`. Thread-safe."""

    def __init__(
        self,
        *,
        api: MetadataApi,
        kinds: Kinds,
        label_keys: Sequence[str],
        annotation_keys: Sequence[str],
        cache_bytes: int,
        per_second: int,
        add_metrics: Callable[[Callable[[], float]], EnrichmentMetrics],
        clock: Clock,
    ) -> None:
        self.kinds = kinds
        self._api = api
        self._label_keys = tuple(label_keys)
        self._annotation_keys = tuple(annotation_keys)
        self._clock = clock
        self._changed = threading.Condition()
        self._cache = Cache(cache_bytes)
        self._allowance = Allowance(per_second)
        self._patience = patience()
        self._backoff = Backoff()
        self._waiting: deque[Target] = deque()
        self._open: set[str] = set()
        self._refused: dict[tuple[ObjectKind, str], tuple[State, float]] = {}
        self._warned: set[ObjectKind] = set()
        self._is_closed = False
        self._why_paused = "failed"
        self._trouble = Trouble(log, over="Objects can be looked up again")
        self.metrics = add_metrics(lambda: self._cache.size_bytes)

    # For the reflectors.

    def see(self, subject: Target, node: str) -> Walk:
        """What is known of an object now. A `node` that is not empty is remembered."""
        with self._changed:
            if node:
                self._cache.learn_node(subject.key, node)
            return self._walk(subject)

    def ask(self, targets: Sequence[Target]) -> dict[str, str]:
        """Have these looked up with their owners, and wait a moment for it.

        Gives, by key, why one is not known all the same: "throttled", "failed" or "late".
        """
        delays: dict[str, str] = {}
        asked: set[str] = set()
        with self._changed:
            for subject in targets:
                delay = self._enqueue(subject)
                if delay:
                    delays[subject.key] = delay
                else:
                    asked.add(subject.key)
            if asked:
                self._changed.notify_all()
                self._wait_for(asked)
            if self._allowance.is_paused(self._clock.monotonic()):
                delays |= dict.fromkeys(asked, self._why_paused)
            return delays | dict.fromkeys(asked & self._open, "late")

    def _wait_for(self, keys: set[str]) -> None:
        began = self._clock.monotonic()
        seconds = self._patience.left(began)
        if seconds > 0:
            self._changed.wait_for(lambda: self._is_closed or not keys & self._open, seconds)
            now = self._clock.monotonic()
            self._patience.spend(now - began, now)

    def _enqueue(self, subject: Target) -> str:
        now = self._clock.monotonic()
        missing = self._walk(subject).missing
        if missing is None or subject.key in self._open:
            return ""
        if self._note_refusal(missing, now):
            return ""
        if self._allowance.is_paused(now):
            return self._why_paused
        if len(self._waiting) >= MAX_WAITING or not self._allowance.take(now):
            return "throttled"
        self._open.add(subject.key)
        self._waiting.append(subject)
        return ""

    def start(self, spawn: Callable[[str, Callable[[], None]], object]) -> None:
        """Start the threads. `close` ends them."""
        for number in range(WORKERS):
            spawn(f"look-up {number}", self.work)

    # For the threads.

    def work(self) -> None:
        """Look up what is asked for, until closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._waiting)
                if self._is_closed:
                    return
                subject = self._waiting.popleft()
            self._look_up(subject)
            with self._changed:
                self._open.discard(subject.key)
                self._changed.notify_all()

    def close(self) -> None:
        """End the threads, and let nobody wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _look_up(self, subject: Target) -> None:
        """Ask for what is missing, the object first and then its owners, one after the other."""
        is_paid = True  # the first request was taken from the allowance when it was asked for
        while True:
            with self._changed:
                now = self._clock.monotonic()
                missing = self._walk(subject).missing
                if missing is None or self._is_closed or self._allowance.is_paused(now):
                    return
                if self._note_refusal(missing, now):
                    continue
                if not is_paid and not self._allowance.take(now):
                    return
            is_paid = False
            if not self._request(missing):
                return

    def _request(self, missing: Target) -> bool:
        """One request. False if it failed, and no more should be made now."""
        try:
            found = self._api.get(missing.path)
        except ApiError as error:
            self.metrics.lookups.labels(error.reason).inc()
            with self._changed:
                return self._note_error(missing, error)
        with self._changed:
            self._backoff.reset()
            self._trouble.end()
            result = self._note_answer(missing, found)
        self.metrics.lookups.labels(result).inc()
        return True

    def _note_answer(self, asked: Target, found: Metadata | None) -> str:
        """Remember the answer, under the uid that it is about."""
        expires = self._clock.monotonic() + TTL_SECONDS
        if found is None:
            self._cache.put(asked.key, Entry(state="gone", expires=expires))
            return "gone"
        entry = self._entry(found, expires)
        if asked.is_met_by(found.uid):
            self._cache.put(asked.key, entry)
            return "ok"
        self._cache.put(asked.key, Entry(state="replaced", expires=expires))
        other = target(asked.kind, namespace=asked.namespace, name=asked.name, uid=found.uid)
        if other is not None:
            self._cache.put(other.key, entry)
        return "replaced"

    def _entry(self, found: Metadata, expires: float) -> Entry:
        labels = _packed(select(found.labels or {}, self._label_keys))
        annotations = _packed(select(found.annotations or {}, self._annotation_keys))
        if len(labels) > MAX_CONTENT_BYTES:
            labels = b""
        if len(labels) + len(annotations) > MAX_CONTENT_BYTES:
            annotations = b""
        ref = found.owner
        owner = Owner(ref.kind, ref.api_version, ref.name, ref.uid) if ref else None
        if owner and sum(map(len, owner)) > _MAX_OWNER_CHARACTERS:
            owner = None
        return Entry("found", labels, annotations, owner, expires=expires)

    def _note_error(self, asked: Target, error: ApiError) -> bool:
        """What follows from an error: a kind that is left alone for a while, or a pause of all."""
        now = self._clock.monotonic()
        kind = asked.kind
        if error.status in (400, 403, 404, 405, 406):
            state: State = "forbidden" if error.status == 403 else "unknown_kind"
            if kind not in self._warned:
                self._warned.add(kind)
                log.warning("Cannot look up objects of the kind %s: %s", kind.kind, error)
            for key, (_, until) in list(self._refused.items()):
                if until <= now:
                    self._refused.pop(key, None)
            self._refused[kind, asked.namespace] = (state, now + REFUSAL_SECONDS)
            return True
        if error.reason == "bad_line":
            self._cache.put(asked.key, Entry(expires=now + REFUSAL_SECONDS))
            return False
        self._trouble.report(f"Objects cannot be looked up: {error}")
        self._why_paused = "throttled" if error.reason == "throttled" else "failed"
        if error.retry_after or not self._allowance.is_paused(now):  # several may fail at once
            self._allowance.pause(now + max(error.retry_after, self._backoff.next()))
        return False

    def _note_refusal(self, missing: Target, now: float) -> bool:
        """Whether its kind is refused: then that is what is known of the object for a while."""
        state, until = self._refused.get((missing.kind, missing.namespace), ("unknown", now))
        if until <= now:
            return False
        self._cache.put(missing.key, Entry(state=state, expires=until))
        return True

    def _walk(self, subject: Target) -> Walk:
        return walk(subject, get=self._cache.get, kinds=self.kinds, now=self._clock.monotonic())


def _packed(values: dict[str, str]) -> bytes:
    return msgspec.msgpack.encode(values) if values else b""
