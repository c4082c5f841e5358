"""The API server of the bench, as a process of its own: the demo's stand-in over a Replay."""

from __future__ import annotations

import argparse
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.bench.lease import LeaseServer
from tests.bench.replay import LAG, Replay
from tests.programs.module import Module
from tests.support.waiting import eventually

_WATCHED, _WRITTEN = "watched", "lease written"


class Source(Module):
    """Serves `standing` events, a stream of `length` states (see Replay), and a Lease.

    With `rates` the stream has one after the other, and `begin` goes on to the next.
    """

    name = "source"
    module = "tests.bench.source"

    def __init__(
        self,
        directory: Path,
        *,
        standing: int = 0,
        length: int = 0,
        rate: float = 0,
        rates: Sequence[float] = (),
        updates: bool = False,
        lag: int = LAG,
        renewing: bool = False,
        pods: int = 1,
    ) -> None:
        super().__init__(directory)
        self.length = length
        self.kubeconfig = directory / "kubeconfig"
        self._arguments = [f"--standing={standing}", f"--length={length}", f"--lag={lag}"]
        self._arguments += [f"--rate={each}" for each in rates or [rate]]
        self._arguments += ["--updates"] * updates + ["--renewing"] * renewing
        self._arguments += [f"--pods={pods}"]

    @property
    def url(self) -> str:
        """Where it serves, once it does."""
        found = re.search(r'server: "(.+?)"', self.kubeconfig.read_text())
        assert found is not None
        return found[1]

    def arguments(self) -> list[str]:
        return [f"--kubeconfig={self.kubeconfig}", *self._arguments]

    def is_ready(self) -> bool:
        return self.kubeconfig.exists()

    def wait_for_watch(self) -> None:
        """Wait until somebody watches."""
        log = self.log_path
        eventually(lambda: _WATCHED in log.read_text(), timeout=600, what="a watch", interval=0.02)

    def lease_writes(self) -> int:
        """How often the Lease was written since it began."""
        return self.log_path.read_text().count(_WRITTEN)

    def begin(self) -> None:
        """Let the stream run, or go on at the next rate."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)


def main() -> None:
    """Serve until killed; SIGUSR1 lets the stream begin, and go on at the next rate."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--standing", type=int, default=0)
    parser.add_argument("--length", type=int, default=0)
    parser.add_argument("--rate", type=float, action="append", required=True)
    parser.add_argument("--updates", action="store_true")
    parser.add_argument("--lag", type=int, default=LAG)
    parser.add_argument("--renewing", action="store_true")
    parser.add_argument("--pods", type=int, default=1)
    options = parser.parse_args()
    replay = Replay(
        standing=options.standing,
        length=options.length,
        rate=options.rate[0],
        updates=options.updates,
        lag=options.lag,
        renewing=options.renewing,
        pods=options.pods,
    )
    rates = iter(options.rate)
    signal.signal(signal.SIGUSR1, lambda number, frame: replay.begin(next(rates)))
    with LeaseServer(replay, on_write=lambda: print(_WRITTEN, flush=True)) as server:
        partial = options.kubeconfig.with_suffix(".partial")
        server.write_kubeconfig(partial)
        partial.rename(options.kubeconfig)
        server.wait_for_watches(1, timeout=3600)
        print(_WATCHED, flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
