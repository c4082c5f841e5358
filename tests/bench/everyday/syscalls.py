"""System calls of a program by name, counted by strace where it is there."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# "% time  seconds  usecs/call  calls  [errors]  syscall"
_ROW = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)


def count_calls(pid: int, *, seconds: float) -> dict[str, int] | None:
    """The calls of all threads in so many seconds. The program runs slower meanwhile.

    None without strace, or where it may not look.
    """
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.NamedTemporaryFile() as file:
        tracer = subprocess.Popen(
            [strace, "-c", "-f", "-p", str(pid), "-o", file.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        tracer.send_signal(signal.SIGINT)  # it lets go, and writes its table
        tracer.wait(30)
        calls = parse(Path(file.name).read_text())
    return calls or None


def parse(table: str) -> dict[str, int]:
    """The counts of a table of `strace -c`, the most frequent first."""
    counts = {name: int(count) for count, name in _ROW.findall(table) if name != "total"}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
