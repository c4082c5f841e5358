"""The API server of the bench, as a process of its own: the demo's stand-in over a Replay."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from eventrouter.standins.apiserver.server import ApiServer
from tests.bench.replay import Replay
from tests.programs.module import Module
from tests.support.waiting import eventually


class Source(Module):
    """Serves `standing` events and a stream of `length` states; see Replay."""

    name = "source"
    module = "tests.bench.source"

    def __init__(
        self,
        directory: Path,
        *,
        standing: int = 0,
        length: int = 0,
        rate: float = 0,
        updates: bool = False,
    ) -> None:
        super().__init__(directory)
        self.length = length
        self.kubeconfig = directory / "kubeconfig"
        self._arguments = [f"--standing={standing}", f"--length={length}", f"--rate={rate}"]
        if updates:
            self._arguments.append("--updates")

    def arguments(self) -> list[str]:
        return [f"--kubeconfig={self.kubeconfig}", *self._arguments]

    def is_ready(self) -> bool:
        return self.kubeconfig.exists()

    def wait_for_watch(self) -> None:
        """Wait until somebody watches."""
        log = self.log_path
        eventually(lambda: "watched" in log.read_text(), timeout=600, what="a watch", interval=0.02)

    def begin(self) -> None:
        """Let the stream run."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)


def main() -> None:
    """Serve until killed; SIGUSR1 lets the stream begin."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--standing", type=int, default=0)
    parser.add_argument("--length", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--updates", action="store_true")
    options = parser.parse_args()
    replay = Replay(
        standing=options.standing,
        length=options.length,
        rate=options.rate,
        updates=options.updates,
    )
    signal.signal(signal.SIGUSR1, lambda number, frame: replay.begin())
    with ApiServer(replay) as server:
        partial = options.kubeconfig.with_suffix(".partial")
        server.write_kubeconfig(partial)
        partial.rename(options.kubeconfig)
        server.wait_for_watches(1, timeout=3600)
        print("watched", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
