"""Those that are compared: the pair, a router in Go, and Fluent Bit's own input."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.bench.probe import Probe
from tests.bench.sidecar import new_sidecar
from tests.bench.source import Source
from tests.programs import Program, Watcher, find

_NOWHERE = Path("/dev/null")


class Contestant(ABC):
    """Follows a source and prints every event to standard output, which nobody reads.

    Use as a context manager: it watches when the block begins.
    """

    name = ""
    title = ""
    part = ""  # without which it can't take part
    record_bytes = 0  # what it prints for a state of the stream, on average, rounded down

    def __init__(self, source: Source) -> None:
        self.source = source
        # The one that follows comes first, the one that prints comes last.
        self.programs: dict[str, Program] = {}
        self.probe: Probe | None = None  # notes when states are acknowledged, where that is done
        self._stack = ExitStack()

    @property
    def main(self) -> Program:
        """The one that follows."""
        return next(iter(self.programs.values()))

    @property
    def printer(self) -> Program:
        """The one that prints."""
        return next(reversed(self.programs.values()))

    @abstractmethod
    def set_up(self) -> None:
        """Fill `programs`; the source serves by now."""

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(self.source)
            self.set_up()
            for program in reversed(self.programs.values()):
                self._stack.enter_context(program)
            self.source.wait_for_watch()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class NamedWatcher(Watcher):
    """The watcher, whose threads the system knows by their names."""

    module = "tests.bench.everyday.named"


class Pair(Contestant):
    """The watcher, and Fluent Bit with the project's own pipeline and the stdout output.

    A probe between the two, in the bench's own process, notes when each state is acknowledged.
    """

    name = "pair"
    title = "watcher and Fluent Bit"
    record_bytes = 1_300

    def __init__(self, source: Source, *, with_lease: bool = False) -> None:
        super().__init__(source)
        self._with_lease = with_lease

    def set_up(self) -> None:
        directory = self.source.directory
        sidecar = new_sidecar(directory / "sidecar", output="stdout")
        sidecar.output_path = _NOWHERE
        self.probe = self._stack.enter_context(Probe(sidecar.forward_port))
        forward = self.probe.url
        watcher = NamedWatcher(
            directory / "watcher",
            kubeconfig=self.source.kubeconfig,
            forward=forward,
            checkpoint="lease:default/eventrouter" if self._with_lease else None,
            buffer_path=sidecar.buffer_path,
        )
        self.programs = {"watcher": watcher, sidecar.name: sidecar}


class GoInformer(Program):
    """The router of tests/bench/go."""

    name = "go-informer"
    output_path = _NOWHERE

    def __init__(self, directory: Path, *, binary: Path, kubeconfig: Path) -> None:
        super().__init__(directory)
        self._command = [str(binary), "-kubeconfig", str(kubeconfig)]

    def command(self) -> list[str]:
        return self._command

    def is_ready(self) -> bool:
        return True


class Informer(Contestant):
    """client-go's shared informer; every state marshalled and printed, nothing acknowledged."""

    name = "informer"
    title = "Go informer"
    part = "go-informer"
    record_bytes = 1_800

    def set_up(self) -> None:
        binary = find(self.part).path
        assert binary is not None
        directory = self.source.directory / "informer"
        router = GoInformer(directory, binary=binary, kubeconfig=self.source.kubeconfig)
        self.programs = {router.name: router}


class FluentBitAlone(Program):
    """Fluent Bit that follows the events itself, as its documentation shows."""

    name = "fluent-bit"
    output_path = _NOWHERE

    def __init__(self, directory: Path, *, binary: Path, url: str) -> None:
        super().__init__(directory)
        self._binary = binary
        self._url = url

    def command(self) -> list[str]:
        token, config = self.directory / "token", self.directory / "fluent-bit.yaml"
        token.write_text("bench")
        events = {"name": "kubernetes_events", "kube_url": self._url, "kube_token_file": str(token)}
        stdout = {"name": "stdout", "match": "*", "format": "json_lines"}
        pipeline = {"inputs": [events], "outputs": [stdout]}
        config.write_text(json.dumps({"service": {"log_level": "warn"}, "pipeline": pipeline}))
        return [str(self._binary), "-c", str(config)]

    def is_ready(self) -> bool:
        return True


class EventsInput(Contestant):
    """Fluent Bit's own kubernetes_events input, without a database and with a buffer in memory."""

    name = "input"
    title = "Fluent Bit's own input"
    part = "fluent-bit"
    record_bytes = 1_200

    def set_up(self) -> None:
        binary = find(self.part).path
        assert binary is not None
        alone = FluentBitAlone(self.source.directory / "input", binary=binary, url=self.source.url)
        self.programs = {alone.name: alone}


CONTESTANTS: dict[str, type[Contestant]] = {
    contestant.name: contestant for contestant in (Pair, Informer, EventsInput)
}
