"""Watches, one after the other, and what their ends say about the position that they began at."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from eventrouter.capture.retry import Retry
from eventrouter.capture.vitals import Vitals
from eventrouter.clock import Clock
from eventrouter.errors import ApiError
from eventrouter.ops.metrics import Metrics

# A watch that ends within so many seconds without an event is no success, though it began with 200.
TOO_SHORT_SECONDS = 1.0
# One that lasts this long, or brings an event, is a success: the next back-off starts small.
GOOD_WHILE_SECONDS = 30.0
# No watch got anywhere for so long, of so many at least: the position is given up, whatever the
# probe says (kubernetes#104171). Within that time the back-off leaves room for eight.
GIVE_UP_SECONDS = 180.0
_HOPELESS_WATCHES = 6
# After so many in a row it is no good answer any more that the API server begins another one.
_DOUBTFUL_WATCHES = 3
# The reasons for which the position may be to blame that a watch got nowhere.
_FRUITLESS = {"empty_watch", "expired", "watch_error"}


class OpenWatch(Protocol):
    """Opens a watch: its lines, as many at a time as arrived together. May raise ApiError."""

    def __call__(
        self, namespace: str, *, resource_version: str, timeout_seconds: int
    ) -> AbstractContextManager[Iterable[list[bytes]]]: ...


class Watches:
    """The watches of one namespace ("" for the whole cluster). Not thread-safe."""

    def __init__(
        self,
        *,
        namespace: str,
        open_watch: OpenWatch,
        retry: Retry,
        vitals: Vitals,
        metrics: Metrics,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._namespace = namespace
        self._open_watch = open_watch
        self._retry = retry
        self._vitals = vitals
        self._metrics = metrics
        self._clock = clock
        self._uniform = uniform
        self._has_progressed = False
        self._is_over = False
        self._fruitless = 0  # so many watches in a row got nowhere
        self._fruitless_since = self._fruitless_until = 0.0

    @contextmanager
    def open(self, resource_version: str, *, seconds: float) -> Iterator[Iterator[list[bytes]]]:
        """The lines of a watch, which the server ends after about so many seconds.

        The caller says `progressed` when they bring it further. Raises ApiError at every end but
        the server's at its time; one that the caller raises inside counts as the watch's end too.
        """
        began = self._clock.monotonic()
        self._has_progressed = self._is_over = False
        reason = ""
        try:
            with self._open_watch(
                self._namespace,
                resource_version=resource_version,
                timeout_seconds=round(seconds * self._uniform(0.9, 1.1)),
            ) as stream:
                if not self._fruitless:
                    self._retry.succeeded()
                if self._fruitless < _DOUBTFUL_WATCHES:
                    self._vitals.answered()
                yield self._until_its_end(stream)
            if self._is_over:
                self._metrics.watches.labels("closed").inc()
                if not self._has_progressed and self._seconds_since(began) < TOO_SHORT_SECONDS:
                    raise ApiError(
                        "the watch ended at once, without an event", reason="empty_watch"
                    )
                self._retry.succeeded()
                self._vitals.answered()
        except ApiError as error:
            reason = error.reason
            raise
        finally:
            self._judge(reason, self._seconds_since(began))

    def progressed(self) -> None:
        """The watch that is open has brought something."""
        self._has_progressed = True
        self._retry.succeeded()
        self._vitals.answered()

    @property
    def are_hopeless(self) -> bool:
        """Whether the position is to be given up: for minutes every watch has ended at once."""
        return (
            self._fruitless >= _HOPELESS_WATCHES
            and self._fruitless_until - self._fruitless_since >= GIVE_UP_SECONDS
        )

    def begin_anew(self) -> None:
        """Nothing bad is known of the position of the next watch: it is another one, or the API
        server was away meanwhile.
        """
        self._fruitless = 0

    def _until_its_end(self, stream: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        yield from stream
        self._is_over = True

    def _judge(self, reason: str, lasted_seconds: float) -> None:
        """Conclude from how a watch ended; `reason` is empty if that was no error."""
        if self._has_progressed or lasted_seconds >= GOOD_WHILE_SECONDS:
            self._retry.reset()
        if self._has_progressed or lasted_seconds >= TOO_SHORT_SECONDS:
            self._fruitless = 0
        elif reason in _FRUITLESS:
            self._fruitless_until = self._clock.monotonic()
            if not self._fruitless:
                self._fruitless_since = self._fruitless_until
            self._fruitless += 1

    def _seconds_since(self, then: float) -> float:
        return self._clock.monotonic() - then
