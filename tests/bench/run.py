"""One run: a source, a sidecar and a watcher, measured from the first event to the last ack."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.bench.accounting import Usage, price, usage
from tests.bench.probe import Probe
from tests.bench.sidecar import Sidecar, new_sidecar
from tests.bench.source import Source
from tests.programs.watcher import Watcher

_LOOK_SECONDS = 0.1
# A reading of its metrics costs the watcher as much as a hundred events.
_ASK_SECONDS = 1.0
# Of a core: below it there is little left to disturb, and the end may have come.
_QUIET = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at one moment; `seconds` and `cpu` since the measurement began."""

    seconds: float
    acked: int
    cpu: float
    memory: int


@dataclass(slots=True)
class Result:
    """What one stretch cost. `cpu` and `sidecar_cpu` are microseconds an event, memory is bytes."""

    events: int
    seconds: float
    cpu: float
    sidecar_cpu: float
    source_cpu: float
    peak: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


class Run:
    """A fresh set of all three programs. Use as a context manager."""

    def __init__(
        self,
        *,
        standing: int = 0,
        length: int = 0,
        rate: float = 0,
        updates: bool = False,
        cache: str = "16MiB",
        probe: bool = False,
        most_a_second: float = 0,
        pods: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        self._stack = ExitStack()
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.source = Source(
            directory / "source",
            standing=standing,
            length=length,
            rate=rate,
            updates=updates,
            pods=pods,
        )
        self.sidecar: Sidecar = new_sidecar(directory / "sidecar")
        self.probe = (
            self._stack.enter_context(Probe(self.sidecar.forward_port, most_a_second=most_a_second))
            if probe
            else None
        )
        self.watcher = Watcher(
            directory / "watcher",
            kubeconfig=self.source.kubeconfig,
            forward=self.probe.url if self.probe else self.sidecar.forward_url,
            buffer_path=self.sidecar.buffer_path,
            options=["--old-event-cache", cache, *options],
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self.source)
        self._stack.enter_context(self.sidecar)
        return self

    def __exit__(self, *_: object) -> None:
        self.watcher.kill()
        self._stack.close()

    def start(self) -> Usage:
        """Start the watcher; what it has used once it watches."""
        self.watcher.start()
        self.source.wait_for_watch()
        return usage(self.watcher)

    def stream(self, *, undisturbed: float = 0, timeout: float = 900.0) -> Result:
        """Let the stream run, to the last ack. For so many seconds nobody looks: a reading of the
        metrics costs the watcher some milliseconds.
        """
        with self.measured(self.source.length, timeout=timeout) as result:
            self.source.begin()
            time.sleep(undisturbed)
        return result

    def listed(self, count: int, *, timeout: float = 900.0) -> Result:
        """Start the watcher on a list of so many events, to the last ack; its start included."""
        self.watcher.start(wait=False)
        with self.measured(count, timeout=timeout) as result:
            pass
        self.source.wait_for_watch()
        return result

    @contextmanager
    def measured(
        self, count: int, *, already: int | None = None, timeout: float
    ) -> Iterator[Result]:
        """Measure from here until `count` more records are acknowledged: more than there were, or
        than `already`, where records come while somebody else asks.

        The watcher is asked how far it is once a second, and whenever it seems to be at the end.
        """
        result = Result(count, 0, 0, 0, 0, 0)
        programs = (self.watcher, self.sidecar, self.source)
        already = self.watcher.acked() if already is None else already
        began, before = time.monotonic(), [usage(program) for program in programs]
        yield result
        asked_at, last = began, before[0]
        while True:
            now = usage(self.watcher)
            is_quiet = now.cpu - last.cpu < _QUIET * _LOOK_SECONDS
            if is_quiet or time.monotonic() - asked_at >= _ASK_SECONDS:
                asked_at = time.monotonic()
                seconds = asked_at - began
                acked = self.watcher.acked() - already
                result.samples.append(Sample(seconds, acked, now.cpu - before[0].cpu, now.memory))
                if acked >= count:
                    break
                if seconds > timeout or not self.watcher.is_running:
                    raise TimeoutError(f"{acked} of {count} acked{self.watcher.log_tail()}")
                now = usage(self.watcher)  # without what the question cost
            last = now
            time.sleep(_LOOK_SECONDS)
        after = [usage(program) for program in programs]
        result.seconds = time.monotonic() - began
        result.cpu, result.sidecar_cpu, result.source_cpu = (
            price(early, late, events=count) for early, late in zip(before, after, strict=True)
        )
        result.peak = after[0].peak
