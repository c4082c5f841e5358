"""`make bench-real`: the same on a real kube-apiserver and etcd, as far as the machine carries it.

The other half of that command is tests/bench/searchable.py.

Events are written straight into etcd: through the API, writing them would be most of the work.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.bench.accounting import compile_bytecode, price, usage
from tests.bench.sidecar import new_sidecar
from tests.e2e.direct import stored
from tests.programs import ApiServer, Etcd, ProgramError, Watcher, find

EVENTS = 30_000


class Cost(NamedTuple):
    """Events a second, and microseconds of CPU an event of each program."""

    rate: float
    watcher: float
    sidecar: float
    apiserver: float
    etcd: float
    memory: int


def main() -> None:
    """Lists, catches up with and streams so many events, and prints what each took."""
    compile_bytecode()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        etcd = Etcd(directory / "etcd", binary=path_of("etcd"))
        stack.enter_context(etcd)
        apiserver = ApiServer(
            directory / "apiserver",
            binary=path_of("kube-apiserver"),
            etcd=etcd,
            openssl=path_of("openssl"),
        )
        stack.enter_context(apiserver)
        sidecar = new_sidecar(directory / "sidecar")
        stack.enter_context(sidecar)
        watcher = Watcher(
            directory / "watcher",
            kubeconfig=apiserver.kubeconfig_for("eventrouter"),
            forward=sidecar.forward_url,
            buffer_path=sidecar.buffer_path,
        )
        stack.callback(watcher.kill)
        programs = (watcher, sidecar, apiserver, etcd)
        rng = random.Random(1)

        def write(name: str) -> None:
            message = "Readiness probe failed: " + "x" * 100
            etcd.put_all([stored(rng, f"{name}-{number}", message) for number in range(EVENTS)])

        def measured(total: int, work: Callable[[], None] = lambda: None) -> Cost:
            before = [usage(program) for program in programs]
            began = time.monotonic()
            work()
            while watcher.acked() < total:
                time.sleep(0.05)
            seconds = time.monotonic() - began
            after = [usage(program) for program in programs]
            cpu = [
                price(early, late, events=EVENTS) for early, late in zip(before, after, strict=True)
            ]
            return Cost._make([EVENTS / seconds, *cpu, after[0].peak])

        print("listed: they stand there when the watcher starts", file=sys.stderr)
        write("list")
        watcher.start(wait=False)
        show("listed", measured(EVENTS))
        print("caught up: they were written while it was away", file=sys.stderr)
        watcher.stop()
        write("away")
        watcher.start(wait=False)
        show("caught up by watch", measured(EVENTS))
        print("streamed: one etcd connection writes as fast as it can", file=sys.stderr)
        show("streamed while written", measured(2 * EVENTS, lambda: write("stream")))


def show(name: str, cost: Cost) -> None:
    print(
        f"{name:24} {cost.rate:8,.0f} events/s; µs CPU an event: watcher {cost.watcher:.1f},"
        f" sidecar {cost.sidecar:.1f}, kube-apiserver {cost.apiserver:.1f}, etcd {cost.etcd:.1f};"
        f" watcher's peak {cost.memory / 2**20:.1f} MiB",
        flush=True,
    )


def path_of(name: str) -> Path:
    """Where a program is. Raises ProgramError if it is missing."""
    part = find(name)
    if part.path is None:
        raise ProgramError(f"{part.name} is missing: {part.remedy}")
    return part.path


if __name__ == "__main__":
    try:
        main()
    except ProgramError as error:
        raise SystemExit(f"bench-real: {error}") from error
