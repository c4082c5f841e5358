"""A watcher and its Fluent Bit on one buffer: what a pod holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.programs import FluentBit, Watcher


class PodWatcher(Watcher):
    """A watcher that knows in which pod it is, as the chart tells it: its name in an election."""

    def __init__(
        self,
        directory: Path,
        *,
        pod: str,
        kubeconfig: Path,
        forward: str,
        checkpoint: str,
        buffer_path: Path,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(
            directory,
            kubeconfig=kubeconfig,
            forward=forward,
            checkpoint=checkpoint,
            buffer_path=buffer_path,
            options=options,
        )
        self.pod = pod
        self.cgroup: Path | None = None

    def command(self) -> list[str]:
        command = super().command()
        if self.cgroup is None:
            return command
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', f"{self.cgroup}/cgroup.procs", *command]

    def environment(self) -> Mapping[str, str]:
        return {
            **super().environment(),
            "EVENTROUTER_POD_NAME": f"eventrouter-{self.pod}",
            "EVENTROUTER_POD_UID": f"uid-of-{self.pod}",
        }

    @property
    def is_leading(self) -> bool:
        """Whether it says so; not while it is frozen, gone or not yet up."""
        try:
            return self.is_running and self.metrics().total("eventrouter_leading") == 1
        except RuntimeError:
            return False

    def said(self, message: str) -> int:
        """How many lines of its log have this in them."""
        return sum(message in line for line in self.log_path.read_text().splitlines())

    def open_files(self) -> int:
        """Its file descriptors, from /proc."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


class Pair:
    """Both programs of a pod, and its volume."""

    def __init__(self, *, watcher: PodWatcher, fluent_bit: FluentBit) -> None:
        self.watcher = watcher
        self.fluent_bit = fluent_bit

    def start(self) -> None:
        """As a pod starts: the sidecar first."""
        self.fluent_bit.start()
        self.watcher.start()

    def stop(self) -> None:
        """As a pod is deleted: SIGTERM, the sidecar last; both must end well."""
        assert self.watcher.stop() == 0, self.watcher.log_tail()
        assert self.fluent_bit.stop() == 0, self.fluent_bit.log_tail()

    def kill(self) -> None:
        """SIGKILL for both at one moment."""
        self.watcher.kill()
        self.fluent_bit.kill()

    def is_idle(self) -> bool:
        """Whether nothing is on its way in here: not in the watcher, not in the buffer."""
        if self.watcher.is_running:
            metrics = self.watcher.metrics()
            received, acked, abandoned, discarded = (
                metrics.total(f"eventrouter_events_{name}_total")
                for name in ("received", "acked", "abandoned", "discarded")
            )
            if received != acked + abandoned + discarded:
                return False
        return not (self.fluent_bit.is_running and self.fluent_bit.chunk_files())

    def shown(self) -> Counter[str]:
        """The ids on the sidecar's stdout, with how often each was printed whole."""
        found: Counter[str] = Counter()
        # Not splitlines(): texts may hold U+2028 and the like as they are.
        for line in self.fluent_bit.log_path.read_text(errors="replace").split("\n"):
            if line.startswith("{"):
                try:
                    found[json.loads(line)["id"]] += 1
                except json.JSONDecodeError:
                    pass  # cut off by a kill, or mixed with a message on stderr
        return found
