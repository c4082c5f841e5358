"""The bench's sidecars, each with nothing behind it: Fluent Bit, or a stand-in."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from eventrouter.standins.receiver.receiver import Receiver
from tests.programs.catalog import find
from tests.programs.fluentbit import FluentBit
from tests.programs.module import ROOT, Module
from tests.support.ports import accepts, free_port


class StandIn(Module):
    """The acknowledging receiver as a process of its own, for machines without Fluent Bit."""

    name = "receiver"
    module = "tests.bench.sidecar"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.forward_port = free_port()
        self.buffer_path: Path | None = None

    @property
    def forward_url(self) -> str:
        return f"tcp://127.0.0.1:{self.forward_port}"

    def arguments(self) -> list[str]:
        return [str(self.forward_port)]

    def is_ready(self) -> bool:
        return accepts(self.forward_port)


Sidecar = FluentBit | StandIn


def new_sidecar(directory: Path, *, output: str = "null") -> Sidecar:
    """Fluent Bit with the project's own pipeline and this output of it, if there is one."""
    binary = find("fluent-bit").path
    if binary is None:
        return StandIn(directory)
    directory.mkdir(parents=True)
    config = directory / "fluent-bit.yaml"
    parts = (ROOT / "fluent" / "pipeline.yaml", ROOT / "fluent" / "outputs" / f"{output}.yaml")
    config.write_text("includes:\n" + "".join(f"  - {part}\n" for part in parts))
    return FluentBit(directory, binary=binary, config=config)


def main() -> None:
    """Acknowledge everything and keep nothing, until killed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("port", type=int)
    with Receiver(f"tcp://127.0.0.1:{parser.parse_args().port}", keep=False):
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
