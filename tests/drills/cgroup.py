"""A memory cgroup, as the kubelet makes one for a container with a limit."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def memory_limited(limit: int) -> Iterator[Path | None]:
    """A cgroup, of version 1 or 2, whose processes may have so many bytes; None where none can be
    had. Its processes must have ended by the end of the block.
    """
    for parent, setting in (
        (ROOT / "memory", "memory.limit_in_bytes"),
        (ROOT / _own_unified(), "memory.max"),
    ):
        path = parent / f"eventrouter-drill-{os.getpid()}"
        try:
            path.mkdir()
        except OSError:
            continue
        try:
            (path / setting).write_text(str(limit))
        except OSError:  # its parent gives no memory controllers to its children
            path.rmdir()
            continue
        try:
            yield path
        finally:
            _remove(path)
        return
    yield None


def killed_for_memory(path: Path) -> int:
    """How many processes of the cgroup the kernel has killed for want of memory."""
    for name in ("memory.oom_control", "memory.events"):
        if (path / name).exists():
            found = re.search(r"^oom_kill (\d+)$", (path / name).read_text(), re.MULTILINE)
            assert found is not None
            return int(found[1])
    raise FileNotFoundError(path / "memory.events")


def _own_unified() -> str:
    """The group of version 2 that this process is in, below the root."""
    found = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    return found[1] if found else "no-such-group"


def _remove(path: Path) -> None:
    """It is busy for a moment after its last process has ended."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return path.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
