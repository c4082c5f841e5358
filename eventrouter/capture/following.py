"""What it takes to follow the events of one namespace: builds a reflector with all its parts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from eventrouter.capture.batcher import Batcher
from eventrouter.capture.lister import GetPage, Lister
from eventrouter.capture.outlet import Outlet, Progress
from eventrouter.capture.record import Shaper
from eventrouter.capture.reflector import Reflector
from eventrouter.capture.retry import Retry
from eventrouter.capture.states import OldStates
from eventrouter.capture.vitals import Vitals
from eventrouter.capture.watches import OpenWatch, Watches
from eventrouter.clock import Backoff, Clock, Stop
from eventrouter.forward.queue import Queue
from eventrouter.ops.health import Health
from eventrouter.ops.metrics import Metrics


class Source(Protocol):
    """The events of the API server (kube/events.py)."""

    @property
    def page(self) -> GetPage: ...
    @property
    def watch(self) -> OpenWatch: ...


def name_of(namespace: str) -> str:
    """What the thread and the link of a namespace's reflector are called."""
    return f"events of {namespace}" if namespace else "events"


def build_reflector(
    *,
    namespace: str,
    source: Source,
    queue: Queue,
    progress: Progress,
    cluster: str | None,
    old_event_cache_bytes: int,
    metrics: Metrics,
    health: Health,
    stop: Stop,
    clock: Clock,
    uniform: Callable[[float, float], float] = random.uniform,
    make_batcher: Callable[..., Batcher] = Batcher,
) -> Reflector:
    """The reflector of one namespace ("" for the whole cluster), ready to run."""
    vitals = Vitals(
        namespace=namespace,
        thread=health.thread(name_of(namespace)),
        link=health.link(name_of(namespace)),
        metrics=metrics,
        clock=clock,
    )
    retry = Retry(namespace=namespace, backoff=Backoff(uniform=uniform), stop=stop, metrics=metrics)
    return Reflector(
        namespace=namespace,
        lister=Lister(
            namespace=namespace, get_page=source.page, retry=retry, vitals=vitals, stop=stop
        ),
        watches=Watches(
            namespace=namespace,
            open_watch=source.watch,
            retry=retry,
            vitals=vitals,
            clock=clock,
            metrics=metrics,
            uniform=uniform,
        ),
        batcher=make_batcher(
            shaper=Shaper(cluster=cluster),
            states=OldStates(old_event_cache_bytes),
            metrics=metrics,
        ),
        outlet=Outlet(
            namespace=namespace,
            queue=queue,
            progress=progress,
            metrics=metrics,
            vitals=vitals,
            stop=stop,
        ),
        retry=retry,
        metrics=metrics,
        stop=stop,
        clock=clock,
    )
