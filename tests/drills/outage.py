"""A sidecar with the project's config, a steady load of events, and sinks of which some are sick.

No API server and no watcher: events go in by the project's own forward protocol, so that a drill
decides how many chunks there are.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eventrouter.errors import ForwardError
from eventrouter.forward.connection import Address, Connection
from eventrouter.forward.protocol import encode, entry_head, pack
from tests.drills.sidecar import LimitedFluentBit, write_config
from tests.drills.sink import Mood, Sink
from tests.support.ports import free_port
from tests.support.waiting import eventually

TYPES = ("normal", "warning", "other")
_PAUSE_SECONDS = 0.1


class Outage:
    """The programs, the load, and when each event reached each sink and stdout.

    `optional` has the sinks that may drop events, and the bytes that each may fill. All others are
    required. `service` and `network` replace settings of the service and of the sinks' outputs.
    Without `prints` nothing goes to stdout.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path,
        required: Sequence[Sink] = (),
        optional: dict[Sink, str] | None = None,
        service: dict[str, Any] | None = None,
        network: dict[str, Any] | None = None,
        flush_seconds: float = 1.0,
        prints: bool = True,
    ) -> None:
        self.directory = directory
        self.required = list(required)
        self.sinks = [*required, *(optional or {})]
        self.sent: dict[str, float] = {}
        self.acked: set[str] = set()
        self.printed: dict[str, float] = {}
        self.log_lines: list[str] = []
        self.most_descriptors = 0
        self.recovery_seconds = 0.0
        self.note = ""
        self.fluent_bit = LimitedFluentBit(
            directory / "fluent-bit",
            binary=binary,
            config=write_config(
                directory, required, optional or {}, service or {}, network or {}, prints=prints
            ),
            variables={"OPTIONAL_PORT": str(free_port()), "FLUSH": str(flush_seconds)},
        )
        self.fluent_bit.output_path = directory / "stdout"
        self._prints = prints
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._stack = ExitStack()

    def load(
        self,
        rate: float,
        *,
        events: int,
        spread: bool = False,
        label: Callable[[int], str] = lambda _: "none",
    ) -> None:
        """Send so many events at this rate, each acknowledged, and return.

        They have the three tags of the watcher. With `spread` each has a tag of its own, so that
        each makes a chunk: a few thousand chunks in a minute, in place of an hour. `label` gives
        the value of a label by the event's number.
        """
        began, first = time.monotonic(), len(self.sent)
        connection: Connection | None = None
        number = 0
        while number < events:
            time.sleep(_PAUSE_SECONDS)
            chunks = []
            while number < events and began + number / rate <= time.monotonic():
                id_ = f"event-{first + number:06d}"
                tag = f"kube.events.{first + number if spread else TYPES[number % len(TYPES)]}"
                entry = entry_head(time.time_ns()) + pack(_record(id_, label(number)))
                chunks.append((encode(tag, [entry], chunk_id=id_), id_))
                self.sent[id_] = began + number / rate
                number += 1
            while chunks:
                try:
                    address = Address.parse(self.fluent_bit.forward_url)
                    connection = connection or Connection.open(address)
                    for chunk, _ in chunks:
                        connection.send(chunk)
                    while chunks:
                        connection.await_ack(chunks[0][1], seconds=10)
                        self.acked.add(chunks.pop(0)[1])
                except ForwardError:
                    if connection is not None:
                        connection.close()
                    connection = None
                    time.sleep(_PAUSE_SECONDS)
            self.most_descriptors = max(self.most_descriptors, self.fluent_bit.descriptors())
        if connection is not None:
            connection.close()

    def settle(self, *, since: float = -math.inf) -> None:
        """Wait until all sinks that are well, and stdout, have every event that was sent since
        then. Raises TimeoutError after ten seconds.
        """
        ids = {id_ for id_, at in self.sent.items() if at >= since}
        eventually(
            lambda: not any(ids - arrived.keys() for arrived in self._healthy()),
            timeout=10,
            what="all events",
        )

    def heal(self, *, timeout: float, sinks: Sequence[Sink] | None = None) -> None:
        """Have all sinks well, and wait until these, or all of them, have every event, and nothing
        waits any more.
        """
        for sink in self.sinks:
            sink.become(Mood.WELL)
        began = time.monotonic()
        whole = self.sinks if sinks is None else [*self.required, *sinks]
        eventually(
            lambda: (
                not any(self.missing(sink.arrived) for sink in whole)
                and not self.fluent_bit.waiting()
            ),
            timeout=timeout,
            what="all events everywhere",
        )
        self.recovery_seconds = time.monotonic() - began

    def cpu_share(self) -> float:
        """The part of a core that Fluent Bit has taken since it was started."""
        return self.fluent_bit.cpu_seconds() / (time.monotonic() - self._began)

    def lines_a_minute(self) -> float:
        """How many lines Fluent Bit has logged a minute, over at least one minute: also those of
        answers that it logs.
        """
        return len(self.log_lines) / max(1.0, (time.monotonic() - self._began) / 60)

    def missing(self, arrived: dict[str, float]) -> set[str]:
        """What was acknowledged and has not arrived."""
        return self.acked - arrived.keys()

    def slowest(self, *, since: float = -math.inf) -> float:
        """The 99th percentile of the seconds that an event took to a sink that is well, or to
        stdout, of all that were sent since then: the worst of the outputs.
        """
        now = time.monotonic()
        return max(
            _percentile99(
                arrived.get(id_, now) - at for id_, at in self.sent.items() if at >= since
            )
            for arrived in self._healthy()
        )

    def lost(self) -> set[str]:
        """What was acknowledged and is missing in a required sink, or on stdout."""
        required = [*self._stdout(), *(sink.arrived for sink in self.required)]
        return set().union(*map(self.missing, required))

    def dropped(self, sink: Sink) -> float:
        """How many events Fluent Bit says that it dropped for this sink."""
        name = "fluentbit_output_dropped_records_total"
        return self.fluent_bit.metrics().total(name, name=sink.name)

    def __str__(self) -> str:
        had = ", ".join(f"{sink.name} {len(sink.arrived)}" for sink in self.sinks)
        return f"{len(self.acked)} acknowledged; stdout {len(self.printed)}, {had}"

    def _healthy(self) -> list[dict[str, float]]:
        return [*self._stdout(), *(sink.arrived for sink in self.sinks if not sink.is_sick)]

    def _stdout(self) -> list[dict[str, float]]:
        return [self.printed] if self._prints else []

    def _read(self) -> None:
        """Note when each event is printed, and what Fluent Bit logs."""
        output = self._stack.enter_context((self.directory / "stdout").open("rb"))
        log = self._stack.enter_context(self.fluent_bit.log_path.open("rb"))
        events, lines = b"", b""
        while not self._stopping.wait(_PAUSE_SECONDS / 2):
            *whole, events = (events + output.read()).split(b"\n")
            for line in whole:
                if line.startswith(b"{") and line.endswith(b"}"):
                    self.printed.setdefault(json.loads(line)["id"], time.monotonic())
            *whole, lines = (lines + log.read()).split(b"\n")
            self.log_lines += [line.decode() for line in whole]

    def __enter__(self) -> Self:
        for sink in self.sinks:
            self._stack.enter_context(sink)
        self.fluent_bit.start()
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._reader.join()
        self.fluent_bit.kill()
        self._stack.close()


def _record(id_: str, label: str) -> dict[str, Any]:
    """A record of the size that events have."""
    metadata = {"name": id_, "labels": {"label": label}}
    event = {"metadata": metadata, "type": "Normal", "reason": "Pulled", "message": "x" * 900}
    return {"verb": "ADDED", "event": event, "id": id_}


def _percentile99(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) * 99 // 100] if ordered else 0.0
