"""How long an event takes from its write to a search that finds it; a part of `make bench-real`.

A real kube-apiserver, the pair as it ships, and a real Elasticsearch that was set up by the
project's own command. Nothing is tuned: the flush and the refresh are those of an installation.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.accounting import compile_bytecode
from tests.bench.everyday.day import percentiles
from tests.bench.real import path_of
from tests.e2e.conftest import delivering_to, running_cluster, search_server
from tests.e2e.load import core_event
from tests.e2e.pipeline import INDICES
from tests.e2e.prepared import setup_of
from tests.programs import Elasticsearch, Etcd, KubeClient, ProgramError, Watcher
from tests.support.waiting import eventually

SECONDS_BY_RATE = {1: 60, 10: 60, 100: 30}
_POLL_SECONDS = 0.02
_GOAL_SECONDS = 3.0


class Finder:
    """A thread that searches until `stop`, and notes when each event is found first."""

    def __init__(self, server: Elasticsearch) -> None:
        self.found_at: dict[str, float] = {}
        self._server = server
        self._ids: list[str] = []
        self._stop = threading.Event()
        self._searching = ThreadPoolExecutor(1).submit(self._search)

    def stop(self) -> None:
        """Search no more."""
        self._stop.set()
        wait([self._searching])

    def waits(self, begun: Mapping[str, float]) -> list[float]:
        """The seconds from these times to a search that found each, once all are found."""
        found, searching = self.found_at, self._searching
        eventually(
            lambda: searching.done() or begun.keys() <= found.keys(),
            timeout=60,
            what="all events found",
        )
        if searching.done():
            searching.result()  # raises what ended it
        return [found[name] - at for name, at in begun.items()]

    def _search(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            query = {"bool": {"must_not": {"ids": {"values": self._ids}}}}
            body: dict[str, Any] = {
                "size": 1000,
                "query": query,
                "_source": ["event.metadata.name"],
            }
            path = f"/{INDICES}/_search?ignore_unavailable=true&allow_partial_search_results=true"
            try:
                hits = self._server.request("POST", path, body)["hits"]["hits"]
            except RuntimeError:  # the index was made just now
                continue
            now = time.monotonic()
            for hit in hits:
                self._ids.append(hit["_id"])
                self.found_at[hit["_source"]["event"]["metadata"]["name"]] = now


def write(client: KubeClient, *, rate: int, seconds: int) -> dict[str, float]:
    """When each event was about to be written, by its name."""
    rng = random.Random(rate)
    begun: dict[str, float] = {}
    start = time.monotonic()
    for number in range(rate * seconds):
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        name = f"at-{rate}-{number}"
        begun[name] = time.monotonic()
        client.create_event(core_event(rng, name, "Readiness probe failed"))
    return begun


def main() -> None:
    """Write at each rate, and print a line for each."""
    compile_bytecode()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        elasticsearch = stack.enter_context(
            search_server(Elasticsearch, directory / "elasticsearch", part=path_of)
        )
        with setup_of(elasticsearch) as setup:
            code, lines = setup.run()
        if code:
            raise ProgramError("\n".join(lines))
        etcd = stack.enter_context(Etcd(directory / "etcd", binary=path_of("etcd")))
        apiserver = stack.enter_context(
            running_cluster(directory / "apiserver", part=path_of, etcd=etcd)
        )
        fluent_bit = stack.enter_context(
            delivering_to(elasticsearch, directory / "fluent-bit", part=path_of)
        )
        stack.enter_context(
            Watcher(
                directory / "watcher",
                kubeconfig=apiserver.kubeconfig_for("eventrouter"),
                forward=fluent_bit.forward_url,
                buffer_path=fluent_bit.buffer_path,
            )
        )
        finder = Finder(elasticsearch)
        stack.callback(finder.stop)
        for rate, seconds in SECONDS_BY_RATE.items():
            print(f"{rate} a second for {seconds} s", file=sys.stderr)
            begun = write(apiserver.client, rate=rate, seconds=seconds)
            show(rate, finder.waits(begun))


def show(rate: int, waits: list[float]) -> None:
    found = percentiles(waits)
    print(
        f"write to searchable at {rate:3}/s: p50 {found['p50']:.2f} s, p99 {found['p99']:.2f} s"
        f" (goal {_GOAL_SECONDS:.0f} s), most {found['most']:.2f} s, {found['count']} events",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except ProgramError as error:
        raise SystemExit(f"bench-real: {error}") from error
