"""etcd's history taken away all the time, as a cluster does it."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import urllib3

from tests.programs import ApiServer, Etcd


class Compaction:
    """Every `interval` seconds, up to where etcd was one interval before: so much history is there
    at the least, and twice as much at the most. The rule is kube-apiserver's
    (apiserver/pkg/storage/etcd3/compact.go), which has 300 s for it.

    While the API server is down nobody compacts, and when it is back it begins a new interval.

    From the start until `end`. `revision` is the last one compacted.
    """

    def __init__(
        self, etcd: Etcd, apiserver: ApiServer, *, interval: float, rng: random.Random
    ) -> None:
        self._etcd = etcd
        self._apiserver = apiserver
        self._interval = interval
        self._seen = 0
        self._over = threading.Event()
        self.revision = 0
        # A short drill is struck at any point of an interval.
        first = rng.uniform(0, interval)
        self._thread = threading.Thread(target=self._run, args=(first,), name="compaction")
        self._thread.start()

    def end(self) -> None:
        """Leave the history as it is from now on."""
        self._over.set()
        self._thread.join()

    def _run(self, pause: float) -> None:
        while not self._over.wait(pause):
            pause = self._interval
            if not (self._apiserver.is_running and self._apiserver.is_ready()):
                self._seen = 0
                continue
            # The drills take etcd down, and back to older revisions.
            with suppress(RuntimeError, urllib3.exceptions.HTTPError):
                now = self._etcd.revision()
                due, self._seen = self._seen, now
                if 0 < due <= now:
                    self._etcd.compact(due)
                    self.revision = due
