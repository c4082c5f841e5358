"""The machine: what a process has used, by the system's own accounts, and what it starts from."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.programs.module import ROOT
from tests.programs.program import Program, ProgramError

_TICKS = os.sysconf("SC_CLK_TCK")
_LIBC = ctypes.CDLL(None)


class Usage(NamedTuple):
    """CPU seconds of all threads since the process began; memory in bytes, now and at most."""

    cpu: float
    memory: int
    peak: int


class Thread(NamedTuple):
    """One thread: its name, its CPU seconds, and how often it went to sleep."""

    name: str
    cpu: float
    sleeps: int


def usage(program: Program) -> Usage:
    """Read now. Raises OSError or ProgramError if the process is gone."""
    return Usage(
        cpu=cpu_seconds(program.pid),
        memory=program.memory_bytes(),
        peak=program.peak_memory_bytes(),
    )


def cpu_seconds(pid: int) -> float:
    """What a process, all its threads and the children it has waited for have used.

    The process's CPU clock has the scheduler's own sums: the nanoseconds that `schedstat` shows for
    each thread that lives, and those of threads that have ended. The children come in clock ticks.
    Raises OSError if the process is gone.
    """
    clock = ctypes.c_int()
    if error := _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, os.strerror(error))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(clock.value) + (int(fields[13]) + int(fields[14])) / _TICKS


def threads(pid: int) -> dict[int, Thread]:
    """The threads that run now, by their ids."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has just ended
            cpu = int((task / "schedstat").read_text().split()[0]) / 1e9
            sleeps = _field(task / "status", "voluntary_ctxt_switches")
            found[int(task.name)] = Thread((task / "comm").read_text().strip(), cpu, sleeps)
    return found


def shared_fairly(pid: int) -> int:
    """Its memory in bytes, each page that others have too by its share (PSS).

    Slow: the kernel walks through all of it.
    """
    return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss") * 1024


def written_bytes(pid: int) -> int:
    """What it has passed to write(2) since it began, to whatever file."""
    return _field(Path(f"/proc/{pid}/io"), "wchar")


def machine_cpu_seconds() -> float:
    """What everything on the machine has used since it began, and what its host has withheld."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ProgramError(f"{path} has no {name}")


def price(before: Usage, after: Usage, *, events: int) -> float:
    """Microseconds of CPU an event, for so many of them in between."""
    return (after.cpu - before.cpu) / events * 1e6


def switches(program: Program) -> int:
    """How often a thread that runs now went to sleep since the process began."""
    return sum(thread.sleeps for thread in threads(program.pid).values())


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
        "kernel": platform.release().partition("-")[0],  # without the name of its build
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
