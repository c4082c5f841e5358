"""The reflector: follows the events of a namespace or of the cluster, and never loses its place.

Named after client-go's (tools/cache/reflector.go), with another aim: that one keeps a copy of all
objects and may skip states, this one must not skip any. So it watches from its position as long as
the API server holds the changes since then, and lists only if it must: at the oldest revision that
is held, so that the watch after it shows as much as possible state by state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from eventrouter.capture.batcher import Batcher, Watched
from eventrouter.capture.lister import History, Lister, known_states
from eventrouter.capture.outlet import Outlet
from eventrouter.capture.retry import Retry
from eventrouter.capture.watches import Watches
from eventrouter.clock import Clock, Stop
from eventrouter.errors import ApiError, BadLine
from eventrouter.forward.batch import Batch
from eventrouter.ops.metrics import Metrics

log = logging.getLogger(__name__)

# The server ends a watch after so many seconds, ±10 %: a link that died is found soon after.
WATCH_SECONDS = 90.0
# A list that takes longer is interrupted as often, for a short watch from where the watch is to
# begin: the API server compacts that revision after at most 10 minutes.
UPKEEP_SECONDS = 15.0
UPKEEP_WATCH_SECONDS = 2.0


class State(Enum):
    """What the reflector is about to do."""

    STARTING = "starting"  # find where to begin; no old state is known for certain
    LISTING = "listing"
    WATCHING = "watching"
    RESUMING = "resuming"  # find where to go on; the old states are those at the position


class Listing(NamedTuple):
    """A list that is to come, and what of it is to be sent."""

    at: str | None  # exactly this revision; None: the newest
    newer_than: int | None  # only later states; None: all


class Reflector:
    """Lists, watches, resumes. `run` is a thread's whole life; `position` is how far it has come.

    All states go into the queue in the API server's order, each batch with the position that it
    completes. A position is where a watch can go on: it moves only after what stands before it
    is in the queue.
    """

    def __init__(
        self,
        *,
        namespace: str,
        lister: Lister,
        watches: Watches,
        batcher: Batcher,
        outlet: Outlet,
        retry: Retry,
        metrics: Metrics,
        stop: Stop,
        clock: Clock,
    ) -> None:
        self._namespace = namespace
        self._lister = lister
        self._watches = watches
        self._batcher = batcher
        self._outlet = outlet
        self._retry = retry
        self._metrics = metrics
        self._stop = stop
        self._clock = clock
        self._listing = Listing(at=None, newer_than=None)
        self._list_at: str | None = None
        self._watch_from: str | None = None
        self._bad_line_at: str | None = None
        self.state = State.STARTING
        # For each state what to do, which gives the next state, and the next state if that fails.
        self._transitions: dict[State, tuple[Callable[[], State], State]] = {
            State.STARTING: (self._find_place, State.STARTING),
            State.LISTING: (self._list, State.STARTING),
            State.WATCHING: (self._watch, State.RESUMING),
            State.RESUMING: (self._find_place, State.RESUMING),
        }

    @property
    def position(self) -> str | None:
        """The resourceVersion up to which everything is in the queue or further."""
        return self._outlet.position

    def run(self, resume_at: str | None, *, list_at: str | None = None) -> None:
        """Follow from `resume_at`, or from a list of everything, until stopped.

        That list is of the revision `list_at`, or of the oldest after it that the API server still
        holds; without one, of the newest.
        """
        self._outlet.position, self._list_at = resume_at, list_at
        while not self._stop.is_set():
            self._step()

    def end(self) -> None:
        """The reflector has ended, or is waited for no longer: it shows no sign of life from here
        on. For another thread.
        """
        self._outlet.end()

    def _step(self) -> None:
        """Do what the state says, and move to the next one."""
        act, after_error = self._transitions[self.state]
        try:
            self.state = act()
        except ApiError as error:
            self.state = after_error
            self._retry.wait_after(error)

    def _find_place(self) -> State:
        """Ask what the API server still holds, and decide how to go on."""
        begin = self.position or self._list_at
        if begin is None:
            return self._plan("start", Listing(at=None, newer_than=None))
        try:
            history, nearest = self._lister.nearest_held(begin)
        except ApiError:
            self._watches.begin_anew()  # an outage says nothing about the position
            raise
        if history is History.WENT_BACK:
            self._leave_history(begin, nearest)
            return self._plan("went_back", Listing(at=nearest, newer_than=None))
        if self.position is None:
            return self._plan("start", Listing(at=nearest, newer_than=None))
        if history is History.COMPACTED:
            self._tell(
                logging.INFO,  # everyday business where nothing happens for minutes
                begin,
                "The API server no longer has the changes right after the position:"
                " listing at the oldest revision that it holds",
                resumed_at=nearest,
            )
            return self._plan("expired", Listing(at=nearest, newer_than=int(begin)))
        if self._watches.are_hopeless:
            self._tell(
                logging.WARNING,
                begin,
                "For minutes every watch from the position has ended at once, though the API server"
                " still holds it: listing at the newest revision",
            )
            return self._plan("unwatchable", Listing(at=None, newer_than=int(begin)))
        if self.state is State.STARTING and self._batcher.keeps_states:
            # Nothing in this list is newer: it only shows the states that updates will replace.
            self._listing = Listing(at=begin, newer_than=int(begin))
            return State.LISTING
        return State.WATCHING

    def _plan(self, reason: str, listing: Listing) -> State:
        self._metrics.relists.labels(reason).inc()
        self._watches.begin_anew()
        self._listing = listing
        return State.LISTING

    def _leave_history(self, position: str, oldest: str) -> None:
        """Forget all positions and states: the API server has never been there."""
        self._tell(
            logging.WARNING,
            position,
            "The API server's history went back, to before the position:"
            " listing everything anew, at the oldest revision that it holds",
            resumed_at=oldest,
        )
        self._outlet.begin_history()
        self._batcher.forget()
        self._list_at = oldest

    def _list(self) -> State:
        """Send what a list shows, then move the position to where the watch is to begin.

        That is the first page's revision, or what an upkeep has got to. The items come in the order
        of their names, so only the end of the list moves the position.
        """
        at, newer_than = self._listing
        shows_states_only = at is not None and int(at) == newer_than
        self._watch_from = None
        self._batcher.begin_list()
        has_news = False
        upkeep_due = self._clock.monotonic() + UPKEEP_SECONDS
        for page in self._lister.pages(resource_version=at):
            if self._watch_from is None:
                self._watch_from = page.resource_version
                if newer_than is None:
                    self._list_at = page.resource_version
                    self._outlet.begin_list(page.resource_version)
            known_up_to = known_states(page.resource_version, self._watch_from)
            for batch in self._batcher.from_list(
                page.items, newer_than=newer_than, known_up_to=known_up_to
            ):
                has_news = has_news or not batch.is_empty
                self._outlet.put(batch)
            if shows_states_only and self._batcher.is_full:
                break
            if self._clock.monotonic() >= upkeep_due:
                self._keep_up()
                upkeep_due = self._clock.monotonic() + UPKEEP_SECONDS
        if self._watch_from is None or self._stop.is_set():
            return State.STARTING
        self._batcher.end_list()
        if has_news and newer_than is not None:
            gap = "Events have changed since the position: states replaced before the list are lost"
            self._tell(logging.WARNING, str(newer_than), gap)
        if self._outlet.put(Batch(), reached=self._watch_from):
            log.info(
                "Listed the events",
                extra={"namespace": self._namespace, "resource_version": self._watch_from},
            )
        return State.WATCHING

    def _keep_up(self) -> None:
        """While a list takes long, see to it that the watch can still begin where it is to.

        What happened since is sent, in its order, and the watch begins after it. Old states stay
        right: an event that the list has not shown yet has none.
        """
        try:
            self._follow(UPKEEP_WATCH_SECONDS)
        except ApiError as error:
            self._retry.count(error)  # and the list goes on; the watch after it says the same

    def _watch(self) -> State:
        """Send what happens from the position on, until the watch ends."""
        self._watch_from = self.position
        self._follow(WATCH_SECONDS)
        return State.RESUMING

    def _follow(self, seconds: float) -> None:
        """Send what one watch brings. Raises ApiError at any end but the server's at its time."""
        if self._watch_from is None:
            return
        overdue: Watched | None = None
        with self._watches.open(self._watch_from, seconds=seconds) as stream:
            for lines in stream:
                watched = self._batcher.from_watch(
                    lines, skip_bad=self._bad_line_at == self._watch_from
                )
                if not self._outlet.offer(watched.batch, reached=self._position_of(watched)):
                    overdue = watched
                    break
                self._move_to(watched.reached)
                if watched.end is not None:
                    self._note_end(watched.end)
                    raise watched.end
                if self._stop.is_set():
                    break
        if overdue is not None and not self._stop.is_set():
            self._wait_for_room(overdue)

    def _position_of(self, watched: Watched) -> str:
        """What position these lines complete: none before the list is complete."""
        return "" if self.state is State.LISTING else watched.reached

    def _move_to(self, reached: str) -> None:
        if reached:
            self._watch_from = reached
            self._watches.progressed()

    def _wait_for_room(self, overdue: Watched) -> None:
        """Queue what was in hand when the watch was closed, and let the queue run half empty."""
        self._metrics.watches.labels("queue_full").inc()
        log.warning(
            "The queue stays full: closing the watch until the sidecar takes events again",
            extra={"namespace": self._namespace},
        )
        if self._outlet.put(overdue.batch, reached=self._position_of(overdue)):
            self._watch_from = overdue.reached or self._watch_from
        self._outlet.wait_for_room()

    def _note_end(self, end: ApiError) -> None:
        self._metrics.watches.labels(end.reason).inc()
        if isinstance(end, BadLine):
            # Damage on the way is gone at the next try from the same position. A line that is still
            # bad then is so at its source, and is skipped so that it holds up nothing.
            self._bad_line_at = self._watch_from

    def _tell(self, level: int, position: str, message: str, **extra: str) -> None:
        fields = {"namespace": self._namespace, "resource_version": position} | extra
        log.log(level, message, extra=fields)
