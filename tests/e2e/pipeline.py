"""The whole pipeline in one test's hands, and the questions that tests ask about it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from tests.e2e.ledger import Ledger
from tests.e2e.load import Load, Written, in_background
from tests.e2e.oracle import Comparison, Expected, compare, expected_documents
from tests.programs import ApiServer, Elasticsearch, Etcd, FluentBit, Watcher
from tests.support.waiting import eventually

INDICES = "kube-events-*"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """API server, watcher, Fluent Bit, Elasticsearch; and the ledger of what was written."""

    etcd: Etcd
    apiserver: ApiServer
    fluent_bit: FluentBit
    elasticsearch: Elasticsearch
    watcher: Watcher
    ledger: Ledger
    load: Load
    random: random.Random

    def start_following(self, *, standing: int) -> int:
        """Start the watcher on so many events, and wait until it has a place to come back to.

        Returns the revision that its first list showed.
        """
        self.load.stand(standing)
        listed_at = self.apiserver.client.newest_revision()
        self.watcher.start()
        eventually(self.watcher.checkpoint_file.exists, timeout=30, what="the first checkpoint")
        return listed_at

    def load_running(
        self, *, rate: float, message_size: int = 0
    ) -> AbstractContextManager[Written]:
        """Writes at this rate while the block runs, or as fast as the machine can.

        An error of the load fails the block's end.
        """
        return in_background(partial(self.load.keep_going, rate=rate, message_size=message_size))

    def arrived(self, expected: Mapping[str, Expected], *, timeout: float) -> Comparison:
        """Wait until all that is required is there and nothing is under way, or for `timeout`
        seconds; then hold what is there against what was expected.
        """
        required = sum(1 for want in expected.values() if want.is_required)
        deadline = time.monotonic() + timeout
        while True:
            try:
                eventually(
                    lambda: self.elasticsearch.count(INDICES) >= required and self.is_idle(),
                    timeout=deadline - time.monotonic(),
                    interval=0.5,
                    what="all documents in Elasticsearch",
                )
            except TimeoutError:
                return self._compare(expected)  # it says more
            result = self._compare(expected)
            # The number may be right and a document still missing: not all that come are required.
            if not result.lost:
                return result
            time.sleep(1)

    def all_shipped(self, listed_at: int) -> int:
        """Wait until all that was written is in Elasticsearch; the revision that this goes up to.

        Without the wait the last states may not have come as far as the watcher.
        """
        shipped = self.apiserver.client.newest_revision()
        result = self.arrived(expected_documents(self.ledger, listed_at=listed_at), timeout=60)
        assert not result.lost, result
        return shipped

    def _compare(self, expected: Mapping[str, Expected]) -> Comparison:
        strangers = self.ledger.strangers(self.apiserver.client)
        documents = self.elasticsearch.documents(INDICES)
        return compare(
            expected,
            (found for found in documents if found.id.rpartition("-")[0] not in strangers),
        )

    def is_idle(self) -> bool:
        """Whether nothing is on its way: not in the watcher, if it runs, and not in the buffer."""
        if self.watcher.is_running:
            metrics = self.watcher.metrics()
            received, acked, discarded = (
                metrics.total(f"eventrouter_events_{name}_total")
                for name in ("received", "acked", "discarded")
            )
            if received != acked + discarded:
                return False
        return not self.fluent_bit.chunk_files()
