"""The machine: what a process has used, by the system's own accounts, and what it starts from."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.programs.module import ROOT
from tests.programs.program import Program

_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """CPU seconds of all threads since the process began; memory in bytes, now and at most."""

    cpu: float
    memory: int
    peak: int


def usage(program: Program) -> Usage:
    """Read now. Raises OSError or ProgramError if the process is gone."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory=program.memory_bytes(),
        peak=program.peak_memory_bytes(),
    )


def price(before: Usage, after: Usage, *, events: int) -> float:
    """Microseconds of CPU an event, for so many of them in between."""
    return (after.cpu - before.cpu) / events * 1e6


def switches(program: Program) -> int:
    """How often a thread that runs now went to sleep since the process began."""
    found = 0
    for task in Path(f"/proc/{program.pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                found += int(line.split()[1])
    return found


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
    for imports in (
        "eventrouter.app",
        "eventrouter.kube.credentials_loader",
        "kubernetes.client.api.core_v1_api, kubernetes.watch",
    ):
        subprocess.run(
            [sys.executable, "-c", f"import {imports}"],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(ROOT)},
            check=True,
        )
