"""A cluster of any size that is kept nowhere: each of its events is made when it is asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from eventrouter.standins.apiserver import objects
from eventrouter.standins.apiserver.changes import Change, Watch
from eventrouter.standins.apiserver.encoding import encode
from eventrouter.standins.apiserver.pages import Matches, Page
from eventrouter.standins.apiserver.store import EventStore, NotReached

# Listed events have revisions up to here; those of the stream come after.
BASE_REVISION = 100_000_000
# So many new events, then an update of each, and so on, unless a stream says otherwise.
LAG = 500
# What goes out together at full speed.
_BLOCK = 64

_CREATED, _NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
# The texts of the template that a state replaces; nowhere else in it.
_NUMBER, _REVISION, _STAMP, _COUNT = "77777777", "88888888", "99999999", 66666666
_POD = "checkout-api-7d9c5b6f4"
_POD_NAME, _POD_UID = "55555", "444444444444"


def pod_metadata(name: str) -> dict[str, object] | None:
    """The metadata of a pod that the stream's events are about; None if it is none of them."""
    head, _, number = name.rpartition("-")
    if head != _POD:
        return None
    return {
        "name": name,
        "uid": f"5c0c2a0e-93cb-4c33-9d6a-{int(number, 16):012x}",
        "labels": {"app.kubernetes.io/name": "checkout-api", "pod-template-hash": "7d9c5b6f4"},
    }


def _template() -> bytes:
    """An event of 1.2 kB, as kubelets write them, with a place for what differs."""
    pod = f"{_POD}-{_POD_NAME}"
    event = objects.complete(
        {
            "metadata": {
                "name": f"{pod}.{_NUMBER}",
                "resourceVersion": _REVISION,
                "creationTimestamp": _CREATED,
            },
            "involvedObject": {
                "kind": "Pod",
                "namespace": "default",
                "name": pod,
                "uid": f"5c0c2a0e-93cb-4c33-9d6a-{_POD_UID}",
                "apiVersion": "v1",
                "resourceVersion": "123000",
                "fieldPath": "spec.containers{checkout-api}",
            },
            "reason": "Unhealthy",
            "message": f"Readiness probe failed: Get http://10.244.0.7:8080/healthz: context "
            f"deadline exceeded while awaiting headers ({_STAMP})",
            "source": {"component": "kubelet", "host": "node-17.example.internal"},
            "firstTimestamp": _CREATED,
            "lastTimestamp": _NOW,
            "count": _COUNT,
            "type": "Warning",
            "reportingComponent": "kubelet",
            "reportingInstance": "node-17.example.internal",
        },
        at=datetime(2026, 1, 1, tzinfo=UTC),
        uid=f"00000000-0000-4000-8000-0000{_NUMBER}",
    )
    return encode(event)


class _Pace(NamedTuple):
    """`before` states are due at `begun`, and `rate` a second from then on (0: all at once)."""

    before: int
    begun: float
    rate: float


class State(NamedTuple):
    """One state of one event of the stream."""

    number: int
    revision: int
    times_seen: int


class Replay(EventStore):
    """`standing` events to list, then a stream of `length` states, `rate` a second (0: at once).

    With `updates` half of the states of the stream are updates: `lag` new events, then an update of
    each. With `renewing` all are: the standing events are updated one after the other, and no event
    is new. They are about `pods` pods in turn. The stream begins with `begin`, and can be watched
    from any of its revisions, as often as it takes. Each message ends with the time at which its
    state was made, in nanoseconds of the machine's monotonic clock.
    """

    def __init__(
        self,
        *,
        standing: int,
        length: int,
        rate: float,
        updates: bool,
        lag: int = LAG,
        renewing: bool = False,
        pods: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(revision=BASE_REVISION)
        self.standing = standing
        self.length = length
        self.updates = updates
        self.lag = lag
        self.renewing = renewing
        self._clock = clock
        # Replaced as one, because others read it at any moment.
        self._pace = _Pace(before=0, begun=math.inf, rate=rate)
        self._fill = _Filler(_template(), pods=pods)

    @property
    def revision(self) -> int:
        """That of the last state that is due."""
        return BASE_REVISION + self.due()

    def begin(self, rate: float | None = None) -> None:
        """Let the stream run; once it runs, let it go on at another rate."""
        self._pace = _Pace(
            before=self.due(),
            begun=self._clock(),
            rate=self._pace.rate if rate is None else rate,
        )
        for watch in list(self._watches):
            watch.inject(b"")

    def due(self) -> int:
        """How many states of the stream exist by now."""
        pace, now = self._pace, self._clock()
        if now < pace.begun:
            return pace.before
        if not pace.rate:
            return self.length
        return min(self.length, pace.before + int((now - pace.begun) * pace.rate))

    def seconds_to(self, index: int) -> float:
        """Until this state of the stream is due; infinite if it is not to come by itself."""
        pace = self._pace
        if pace.begun == math.inf or index >= self.length:
            return math.inf
        states = index + 1 - pace.before
        return max(0.0, pace.begun + (states / pace.rate if pace.rate else 0) - self._clock())

    def lines(self, start: int, end: int) -> bytes:
        """These states of the stream as lines of a watch."""
        fill = self._fill
        parts = []
        for state in map(self._state, range(start, end)):
            kind = b"ADDED" if state.times_seen == 1 else b"MODIFIED"
            parts.append(_LINE % (kind, fill(state)[1:]))
        return b"".join(parts)

    def page(
        self,
        *,
        revision: int | None = None,
        namespace: str | None = None,
        after: str = "",
        limit: int | None = None,
        matches: Matches | None = None,
    ) -> Page:
        """The standing events, whatever the revision: what streamed since is not listed."""
        at = self.revision if revision is None else revision
        if at > self.revision:
            raise NotReached
        start = int(after) + 1 if after else 0
        end = min(self.standing, start + (limit or self.standing))
        first = BASE_REVISION - self.standing
        items = [self._fill(State(n, first + n, 1)) for n in range(start, end)]
        last = f"{end - 1}" if start < end < self.standing else None
        return Page(at, items, last, self.standing - end)

    def watch(self, after: int | None, *, namespace: str | None = None) -> Watch:
        """Follow the stream behind a revision."""
        watch = _ReplayWatch(self, start=max(0, (after or 0) - BASE_REVISION), leave=self._forget)
        self._watches.append(watch)
        return watch

    def _state(self, index: int) -> State:
        revision = BASE_REVISION + 1 + index
        if self.renewing:
            return State(index % self.standing, revision, 2 + index // self.standing)
        number, is_update = index, False
        if self.updates:
            block, at = divmod(index, 2 * self.lag)
            number, is_update = block * self.lag + at % self.lag, at >= self.lag
        return State(self.standing + number, revision, 1 + is_update)


_LINE = b'{"type":"%b","object":{"kind":"Event","apiVersion":"v1",%b}\n'


class _Filler:
    """The template cut at its places, put together again for one state after another."""

    def __init__(self, template: bytes, *, pods: int) -> None:
        text = template.replace(b"%", b"%%")
        for mark, place in (
            (_NUMBER.encode(), b"%(number)08x"),
            (_REVISION.encode(), b"%(revision)d"),
            (_STAMP.encode(), b"%(stamp)d"),
            (str(_COUNT).encode(), b"%(count)d"),
            (_POD_NAME.encode(), b"%(pod)05x"),
            (_POD_UID.encode(), b"%(pod)012x"),
            (_CREATED.encode(), b"%(created)b"),
            (_NOW.encode(), b"%(now)b"),
        ):
            if mark not in text:
                raise ValueError(f"the template has no {mark!r}")
            text = text.replace(mark, place)
        self._template = text
        self._pods = pods
        self._second = 0
        self._now = b""

    def __call__(self, state: State) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._now = objects.seconds(datetime.fromtimestamp(second, UTC)).encode()
        return self._template % {
            b"number": state.number,
            b"pod": state.number % self._pods,
            b"revision": state.revision,
            b"stamp": time.monotonic_ns(),
            b"count": state.times_seen,
            b"created": self._now,
            b"now": self._now,
        }


class _ReplayWatch(Watch):
    """The stream, from one of its states on."""

    def __init__(self, replay: Replay, *, start: int, leave: Callable[[Watch], None]) -> None:
        super().__init__(after=0, namespace=None, leave=leave)
        self._replay = replay
        self._next = start

    def take(self, *, timeout: float) -> list[Change | bytes]:
        """What is due, a block at a time; before that what was injected, as soon as it is."""
        due = self._replay.due()
        if self._next >= due:
            return super().take(timeout=min(timeout, self._replay.seconds_to(self._next)))
        start, self._next = self._next, min(due, self._next + _BLOCK)
        return [self._replay.lines(start, self._next)]
