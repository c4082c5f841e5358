"""Outputs that are sick: every other one goes on, and nothing that was acknowledged is lost.

The short form makes a chunk of each event and sends 50 a second, so that thousands wait within a
minute or two. That is harsher than real time on descriptors and on CPU, since the waits between
tries do not shrink; it says nothing about hours. It flushes ten times a second and allows 64
connections in place of 16, else 50 chunks would want one each at one moment. Its longest wait is
20 s in place of 300, so that it sees the recovery. The long form sends 5 events a second with the
watcher's three tags, and changes no setting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.drills.drill import figure
from tests.drills.outage import Outage
from tests.drills.row import Row
from tests.drills.sink import Mood, Sink
from tests.e2e.conftest import part, session_elasticsearch  # noqa: F401
from tests.e2e.pipeline import INDICES
from tests.programs import Elasticsearch
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

SHORT_SERVICE = {"scheduler.cap": 20}
SHORT_NETWORK = {"net.max_worker_connections": 64}
IN_TIME_SECONDS = 5.0
# What each sick output may write: a message six times a minute, of three lines with an answer.
LINES_A_MINUTE = 18
START_SECONDS = 10.0

DATE, TEXT = "2026-11-24", "a word"
LABEL = {"label": {"type": "date", "ignore_malformed": True}}
METADATA = {"metadata": {"properties": {"labels": {"properties": LABEL}}}}
MAPPING = {"properties": {"event": {"properties": METADATA}}}

Begin = Callable[..., Outage]


class RealElasticsearch(Sink):
    """The real one as a sink, with the indices of an earlier drill deleted."""

    def __init__(self, server: Elasticsearch) -> None:
        super().__init__("elasticsearch", bulk=True)
        self.server = server
        self.port = server.port

    def become(self, mood: Mood) -> None:
        """It is as it is."""

    def look(self) -> None:
        """Note what it has, as far as it answers."""
        with suppress(RuntimeError):  # an index that has only just been made
            for document in self.server.documents(INDICES):
                self.arrived.setdefault(document.id, time.monotonic())


@pytest.fixture
def begin(
    request: pytest.FixtureRequest,
    part: Callable[[str], Path],  # noqa: F811
    tmp_path: Path,
) -> Iterator[Begin]:
    """Starts the drill's outage; its row is in the table whether it failed or not."""
    with ExitStack() as stack:
        begun: list[Outage] = []

        def begin(**settings: Any) -> Outage:
            short: dict[str, Any] = {
                "service": SHORT_SERVICE,
                "network": SHORT_NETWORK,
                "flush_seconds": 0.1,
            }
            settings = figure(short, long={}) | settings
            begun.append(Outage(tmp_path, binary=part("fluent-bit"), **settings))
            return stack.enter_context(begun[-1])

        yield begin
        for outage in begun:
            print(outage)
            row = asdict(row_of(outage, request.node.name))
            request.node.user_properties.append(("drill", row))


def row_of(outage: Outage, name: str) -> Row:
    """The drill's line: what counts is what the required sinks and stdout have."""
    lost = outage.lost()
    return Row(
        drill=name.removeprefix("test_").replace("_", " "),
        written=len(outage.acked),
        held=len(outage.acked) - len(lost),
        forgotten=0,
        lost=len(lost),
        twice=0,
        wrong=0,
        seconds=outage.recovery_seconds,
        note=outage.note,
    )


def load(outage: Outage, events: int, *, rate: float = 50.0) -> None:
    """So many events, in the short form at this rate and a chunk each."""
    rate, count = figure(rate, long=5.0), figure(events, long=10 * events)
    outage.load(rate, events=count, spread=figure(True, long=False))


def check_others_went_on(outage: Outage, *, since: float = -math.inf) -> None:
    outage.settle(since=since)
    slowest = outage.slowest(since=since)
    outage.note += (
        f"p99 {slowest:.1f} s, {outage.fluent_bit.waiting()} chunks wait, "
        f"{outage.fluent_bit.memory_bytes() / 2**20:.0f} MiB, "
        f"{outage.most_descriptors} descriptors, CPU {outage.cpu_share():.0%}; "
    )
    assert slowest < IN_TIME_SECONDS
    sick = sum(sink.is_sick for sink in outage.sinks)
    assert outage.lines_a_minute() <= LINES_A_MINUTE * sick, "\n".join(outage.log_lines[-20:])


def test_optional_output_dead_for_thousands_of_chunks(begin: Begin) -> None:
    """Its oldest events are dropped at its limit, and counted; it gets the newest."""
    dead = Sink("dead", Mood.REFUSING)
    elasticsearch = Sink("elasticsearch", bulk=True)
    outage = begin(required=[elasticsearch], optional={dead: "8M"})
    load(outage, 2300)
    check_others_went_on(outage)
    outage.heal(timeout=figure(120, long=700), sinks=[])
    dropped = outage.dropped(dead)
    outage.note += f"{dropped:.0f} dropped for the optional one, and counted"
    assert dropped > 0
    assert len(outage.missing(dead.arrived)) == dropped


def test_elasticsearch_dead_for_thousands_of_chunks(begin: Begin) -> None:
    """Stdout and a second required output go on; Elasticsearch gets everything after."""
    elasticsearch = Sink("elasticsearch", Mood.REFUSING, bulk=True)
    outage = begin(required=[elasticsearch, Sink("archive")])
    load(outage, 1500)
    check_others_went_on(outage)
    outage.heal(timeout=figure(120, long=700))


def test_only_output_dead_for_thousands_of_chunks(begin: Begin) -> None:
    """Without stdout, as the chart's notes advise: a chunk has a single route, and none is lost."""
    outage = begin(required=[Sink("elasticsearch", Mood.REFUSING, bulk=True)], prints=False)
    load(outage, 1500)
    outage.note = (
        f"{outage.fluent_bit.waiting()} chunks wait, {outage.most_descriptors} descriptors"
    )
    outage.heal(timeout=figure(120, long=700))


def test_three_outputs_fail_at_once(begin: Begin) -> None:
    """One refuses, one hangs, one has a wrong password."""
    sick = Sink("elasticsearch", Mood.REFUSING, bulk=True)
    hung, unauthorized = Sink("hung", Mood.HUNG), Sink("login", Mood.UNAUTHORIZED, bulk=True)
    well = Sink("archive")
    outage = begin(required=[sick, well], optional={hung: "20M", unauthorized: "20M"})
    load(outage, 1000)
    check_others_went_on(outage)
    outage.heal(timeout=figure(120, long=700))


def test_slow_output_and_one_that_breaks(begin: Begin) -> None:
    """One takes three seconds for each request, one answers 500 to all."""
    slow, broken = Sink("slow", Mood.SLOW), Sink("elasticsearch", Mood.BROKEN, bulk=True)
    outage = begin(required=[broken, Sink("archive")], optional={slow: "20M"})
    load(outage, 400)
    check_others_went_on(outage)
    outage.heal(timeout=figure(120, long=700))


def test_sidecar_killed_with_thousands_of_waiting_chunks(begin: Begin) -> None:
    """It comes up at 1,024 descriptors, new events are in time, and nothing is lost for the
    required output that was down, although an optional one is at its limit.
    """
    elasticsearch = Sink("elasticsearch", Mood.REFUSING, bulk=True)
    dead = Sink("dead", Mood.REFUSING)
    outage = begin(required=[elasticsearch, Sink("archive")], optional={dead: "4M"})
    load(outage, 1200)
    outage.fluent_bit.kill()
    outage.note += f"killed with {outage.fluent_bit.waiting()} chunks; "
    began = time.monotonic()
    outage.fluent_bit.start()
    assert time.monotonic() - began < START_SECONDS
    restarted = time.monotonic()
    load(outage, 300, rate=10.0)
    check_others_went_on(outage, since=restarted)
    assert outage.dropped(dead) > 0
    outage.heal(timeout=figure(240, long=1500), sinks=[])


def test_two_thousand_events_refused(
    begin: Begin,
    session_elasticsearch: Elasticsearch,  # noqa: F811
) -> None:
    """Without the index template a label becomes a date, and 2,000 events have a word in it. All
    others arrive; the log says why once it is asked, and else stays short; the refused ones arrive
    when the mapping takes them.
    """
    session_elasticsearch.delete(INDICES)
    elasticsearch = RealElasticsearch(session_elasticsearch)
    outage = begin(required=[elasticsearch], service=figure({"scheduler.cap": 60}, long={}))

    def is_all_there() -> bool:
        elasticsearch.look()
        return not outage.missing(elasticsearch.arrived)

    outage.load(1, events=1, label=lambda _: DATE)
    eventually(is_all_there, timeout=60, what="the first event")
    outage.fluent_bit.kill()
    outage.fluent_bit.set(ES_TRACE_ERROR="on")
    outage.fluent_bit.start()
    outage.load(1, events=1, label=lambda _: TEXT)
    eventually(
        lambda: "document_parsing_exception" in outage.fluent_bit.log_path.read_text(),
        timeout=60,
        what="the reason in the log",
    )
    outage.fluent_bit.kill()
    outage.fluent_bit.set(ES_TRACE_ERROR="off")
    outage.fluent_bit.start()
    began, lines = time.monotonic(), len(outage.log_lines)

    outage.load(50, events=2200, label=lambda number: TEXT if number % 11 else DATE)
    refused = {id_ for number, id_ in enumerate(sorted(outage.acked)[2:]) if number % 11}
    refused.add(sorted(outage.acked)[1])
    assert len(refused) == 2001

    def is_all_but_refused_there() -> bool:
        elasticsearch.look()
        return outage.missing(elasticsearch.arrived) == refused

    eventually(is_all_but_refused_there, timeout=330, interval=2, what="all but the refused")
    eventually(lambda: not outage.missing(outage.printed), timeout=30, what="all printed")
    assert outage.slowest() < IN_TIME_SECONDS
    minutes = (time.monotonic() - began) / 60
    assert (len(outage.log_lines) - lines) / minutes <= LINES_A_MINUTE
    retries = outage.fluent_bit.metrics().total(
        "fluentbit_output_retries_total", name="elasticsearch"
    )
    assert retries > 0
    outage.note = (
        f"{len(refused)} refused in {outage.fluent_bit.waiting()} chunks, {retries:.0f} tries, "
        f"{len(outage.log_lines) - lines} lines in {minutes:.1f} minutes"
    )

    began = time.monotonic()
    session_elasticsearch.request("PUT", f"/{INDICES}/_mapping", MAPPING)
    eventually(is_all_there, timeout=330, interval=2, what="the refused ones")
    outage.recovery_seconds = time.monotonic() - began
