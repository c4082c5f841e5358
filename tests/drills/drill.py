"""A drill: real programs under a steady load, faults, and the reckoning at the end."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.drills.compaction import Compaction
from tests.drills.held import Held
from tests.drills.kubeconfig import administrator
from tests.drills.pair import Pair, PodWatcher
from tests.drills.patient import PatientClient
from tests.drills.row import Row
from tests.e2e.ledger import Ledger, State
from tests.e2e.load import Load, Written, in_background
from tests.e2e.oracle import Comparison, Expected, compare, expected_documents
from tests.e2e.pipeline import INDICES
from tests.programs import ApiServer, Elasticsearch, Etcd, FluentBit
from tests.support.waiting import eventually

CONFIG = Path(__file__).parents[2] / "fluent" / "fluent-bit.yaml"
RATE = 50.0

T = TypeVar("T")


def figure(short: T, *, long: T) -> T:
    """One of two sizes of a drill: the short one, unless DRILLS=long is set."""
    return long if os.environ.get("DRILLS") == "long" else short


# For how long a drill waits. What is promised about the time, a drill asserts by itself: a machine
# may be many times slower. After an outage of ten minutes the next try may be five minutes away.
RECOVERY_SECONDS = 600.0
# The API server's interval of compaction: longer than the watcher waits between two tries (45 s at
# most), and than a standby takes to lead. A cluster has 300 s.
COMPACTION_SECONDS = figure(60.0, long=300.0)


class Drill:
    """The programs, the load with its ledger, and what becomes of it.

    `gaps` and `slow_lists` are as in `expected_documents`: history that the API server lacks.
    `blurs` are stretches of revisions, from one to another, after which a state must be there but
    its verb and old state need not be known: a new start without a position.
    """

    def __init__(
        self,
        *,
        name: str,
        directory: Path,
        etcd: Etcd,
        apiserver: ApiServer,
        elasticsearch: Elasticsearch,
        fluent_bit_binary: Path,
    ) -> None:
        self.etcd = etcd
        self.apiserver = apiserver
        self.elasticsearch = elasticsearch
        seed = random.randrange(2**32)
        print(f"the seed is {seed}")
        self.random = random.Random(seed)
        self.ledger = Ledger()
        client = PatientClient(
            apiserver.url, ca_file=apiserver.ca_file, token=administrator(apiserver.kubeconfig)
        )
        self.client = client
        self.load = Load(client, self.ledger, seed=seed)
        self.compaction = self._compaction(COMPACTION_SECONDS)
        self.listed_at = 0
        self.gaps: dict[int, int] = {}
        self.slow_lists: dict[int, int] = {}
        self.blurs: list[tuple[int, int]] = []
        self.seconds = 0.0
        self.note = ""
        self.row: Row | None = None
        self._name = name
        self._directory = directory
        self._fluent_bit_binary = fluent_bit_binary
        self._pairs: list[Pair] = []
        self._checkpoint = self._directory / "checkpoint"
        self._kubeconfig: Path | None = None
        self._held = Held(elasticsearch)

    def pair(
        self,
        name: str = "pod",
        *,
        kubeconfig: Path | None = None,
        checkpoint: str = "",
        forward: str = "",
        elasticsearch_port: int | None = None,
        config: Path = CONFIG,
        variables: Mapping[str, str] | None = None,
        buffer_path: Path | None = None,
        options: Sequence[str] = (),
    ) -> Pair:
        """A pair with a buffer of its own. Its checkpoint is a file that all pairs share, unless
        another one is named. A link can be led elsewhere by a kubeconfig, a URL or a port.
        """
        directory = self._directory / name
        fluent_bit = FluentBit(
            directory / "fluent-bit",
            binary=self._fluent_bit_binary,
            config=config,
            variables={
                "ES_HOST": "127.0.0.1",
                "ES_PORT": str(elasticsearch_port or self.elasticsearch.port),
                "ES_TLS": "off",
                **(variables or {}),
            },
            buffer_path=buffer_path,
        )
        watcher = PodWatcher(
            directory / "watcher",
            pod=name,
            kubeconfig=kubeconfig or self.kubeconfig,
            forward=forward or fluent_bit.forward_url,
            checkpoint=checkpoint or f"file:{self._checkpoint}",
            buffer_path=fluent_bit.buffer_path,
            options=options,
        )
        pair = Pair(watcher=watcher, fluent_bit=fluent_bit)
        self._pairs.append(pair)
        return pair

    def compact_every(self, seconds: float) -> None:
        """Have the API server remember less, or more, from now on."""
        self.compaction.end()
        self.compaction = self._compaction(seconds)

    @property
    def kubeconfig(self) -> Path:
        """Of an account that may list and watch events, and nothing else."""
        if self._kubeconfig is None:
            self._kubeconfig = self.apiserver.kubeconfig_for("eventrouter")
        return self._kubeconfig

    def is_sealed(self) -> bool:
        """Whether a pair with a new buffer could go on where the last one is, by the file that all
        pairs share.
        """
        checkpoint = self._shared_checkpoint()
        return bool(checkpoint["delivered"] == checkpoint["acked"])

    def delivered(self) -> int:
        """The position that a pair with a new buffer goes on from, by that file."""
        return int(self._shared_checkpoint()["delivered"][""])

    def follow(self, pair: Pair, *, until_idle: bool = True) -> None:
        """Start the pair on a few events, and wait until it has a place to come back to.

        Not `until_idle` where an output takes nothing: its buffer never runs empty.
        """
        self.load.stand(50, updated=0)
        self.listed_at = self.apiserver.client.newest_revision()
        pair.start()
        eventually(
            lambda: (
                pair.watcher.metrics().total("eventrouter_checkpoint_writes_total", result="ok") > 0
                and self._is_there()
                and (pair.is_idle() or not until_idle)
            ),
            timeout=RECOVERY_SECONDS,
            what="the first list delivered, and a checkpoint",
        )

    def under_load(self, rate: float = RATE) -> AbstractContextManager[Written]:
        """Create and update at this rate while the block runs; fails at its end if that failed."""
        return in_background(partial(self.load.keep_going, rate=rate))

    def sleep(self, least: float, most: float | None = None) -> None:
        """Let the load go on for a while, of a random length if two are given."""
        time.sleep(least if most is None else self.random.uniform(least, most))

    def recover(self) -> int:
        """To be called when a fault ends, or where it has no end when it has struck: the seconds
        until Elasticsearch holds every state that was written until then. The last is the drill's.

        Returns the newest revision among them. A watch is in order, so all up to it was sent.
        """
        started = time.monotonic()
        count = len(self.ledger.states)
        revision = max(state.revision for state in self.ledger.states[:count])
        try:
            eventually(
                lambda: self._is_there(count),
                timeout=RECOVERY_SECONDS,
                interval=0.2,
                what=f"all of {count} states in Elasticsearch",
            )
        except TimeoutError as error:
            print(error)
            self.seconds = math.inf  # `reckon` will say what is missing
        else:
            self.seconds = time.monotonic() - started
            print(f"recovered {count} states in {self.seconds:.1f} s")
        return revision

    def reckon(
        self,
        *,
        timeout: float = RECOVERY_SECONDS,
        when_idle: bool = True,
        check_ledger: bool = True,
    ) -> None:
        """Hold Elasticsearch against the ledger, document by document, once nothing is under way
        any more. The row is kept for the table; fails unless all is as promised.

        Not `when_idle` where an output takes nothing, and no `check_ledger` where the API server
        has lost what it had accepted.
        """
        if check_ledger:
            self.ledger.check_against(self.apiserver.client)
        try:
            eventually(
                lambda: (
                    self._is_there()
                    and (not when_idle or all(pair.is_idle() for pair in self._pairs))
                ),
                timeout=timeout if self.seconds < math.inf else 5,
                interval=0.5,
                what="all states in Elasticsearch",
            )
        except TimeoutError as error:
            print(error)  # the comparison says more
        expected = self._expected()
        strangers = self.ledger.strangers(self.apiserver.client)
        documents = [
            document
            for document in self.elasticsearch.documents(INDICES)
            if document.id.rpartition("-")[0] not in strangers
        ]
        found = compare(expected, documents)
        there = {document.id for document in documents}
        self.row = Row(
            drill=self._name,
            written=len(self.ledger.states),
            held=len(there & {state.id for state in self.ledger.states}),
            forgotten=sum(
                not want.is_required and want.id not in there for want in expected.values()
            ),
            lost=len(found.lost),
            twice=len(found.twice) + len(found.unknown),
            wrong=len(found.wrong),
            seconds=self.seconds,
            note=self.note,
        )
        print(Row.head(), self.row, sep="\n")
        assert found.is_clean, self._told(found)

    def close(self) -> None:
        """Kill what is still running."""
        self.compaction.end()
        for pair in self._pairs:
            pair.kill()

    def _compaction(self, seconds: float) -> Compaction:
        return Compaction(self.etcd, self.apiserver, interval=seconds, rng=self.random)

    def _shared_checkpoint(self) -> dict[str, Any]:
        return dict(json.loads(self._checkpoint.read_text()))

    def _expected(self) -> dict[str, Expected]:
        expected = expected_documents(
            self.ledger, listed_at=self.listed_at, gaps=self.gaps, slow_lists=self.slow_lists
        )
        for state in self.ledger.states:
            if any(first < state.revision <= last for first, last in self.blurs):
                want = expected[state.id]
                verbs, old_events = want.verbs | {"ADDED", "UPDATED"}, (*want.old_events, None)
                expected[state.id] = replace(want, verbs=verbs, old_events=old_events)
        return expected

    def _required(self, count: int | None) -> list[State]:
        """Of the first so many states, or of all, those that must arrive."""
        states = self.ledger.states[:count]
        if not self.gaps:
            return states
        expected = self._expected()
        return [state for state in states if expected[state.id].is_required]

    def _is_there(self, count: int | None = None) -> bool:
        """Whether Elasticsearch has the first so many states, or all."""
        return self._held.has(self._required(count))

    def _told(self, found: Comparison) -> str:
        return f"{self.row}\n{found}\n" + "".join(pair.watcher.log_tail(15) for pair in self._pairs)
