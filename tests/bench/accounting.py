"""The machine: what a process has used, by the system's own accounts, and what it starts from."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.e2e.parts.watcher import ROOT

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


class Usage(NamedTuple):
    """CPU seconds of all threads since the process began; memory in bytes, now and at most."""

    cpu: float
    memory: int
    peak: int


def usage(pid: int) -> Usage:
    """Read now. Raises OSError if the process is gone."""
    process = Path(f"/proc/{pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    status = _status(process / "status")
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory=status["VmRSS"] * _KIB,
        peak=status["VmHWM"] * _KIB,
    )


def switches(pid: int) -> int:
    """How often a thread that runs now went to sleep since it began."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(_status(task / "status")["voluntary_ctxt_switches"] for task in tasks)


def _status(path: Path) -> dict[str, int]:
    """Those lines of a status file that are numbers."""
    fields = (line.partition(":") for line in path.read_text().splitlines())
    words = {name: value.split() for name, _, value in fields}
    return {name: int(value[0]) for name, value in words.items() if value and value[0].isdecimal()}


def machine() -> dict[str, str | int]:
    """What figures depend on, as far as the machine tells."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": f"{platform.python_version()} ({platform.python_compiler()})",
    }


def compile_bytecode() -> None:
    """Have the bytecode of all that is imported, as the image has it: without, a start takes twice
    the CPU and 5 MiB more.
    """
    for imports in ("eventrouter.app", "kubernetes.client.api.core_v1_api, kubernetes.watch"):
        subprocess.run(
            [sys.executable, "-c", f"import {imports}"],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(ROOT)},
            check=True,
        )
