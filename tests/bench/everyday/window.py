"""One stretch of time, and what each program of a contestant used in it."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from tests.bench.accounting import (
    Thread,
    cpu_seconds,
    machine_cpu_seconds,
    shared_fairly,
    threads,
    written_bytes,
)
from tests.bench.everyday.contestant import Contestant
from tests.programs import Program, ProgramError

Figures = dict[str, Any]

# Of what is due. Records come out once a second, so the edges of a short stretch miss some; who
# prints less has fallen behind, and its CPU says nothing.
_ENOUGH = 0.85


class _Account(NamedTuple):
    at: float
    cpu: dict[str, float]
    threads: dict[str, dict[int, Thread]]
    printed: int


def measure(
    contestants: Mapping[str, Contestant], *, seconds: float, rate: float
) -> dict[str, Figures]:
    """Let so many seconds pass, at so many events a second each, and say what each one took.

    `cpu` is shares of one core by program, `sleeps` is times a second by program and thread,
    `others` is the share of all programs of the machine that are not the bench's.
    """
    began = time.monotonic()
    before = {name: _account(contestant) for name, contestant in contestants.items()}
    others = _others(contestants, before)
    time.sleep(seconds)
    after = {name: _account(contestant) for name, contestant in contestants.items()}
    machine = {
        "others": (_others(contestants, after) - others) / (time.monotonic() - began),
        "load": os.getloadavg()[0],
    }
    return {
        name: _used(before[name], after[name], rate=rate, record_bytes=contestant.record_bytes)
        | machine
        for name, contestant in contestants.items()
    }


def _used(before: _Account, after: _Account, *, rate: float, record_bytes: int) -> Figures:
    passed = after.at - before.at
    printed = after.printed - before.printed
    return {
        "seconds": passed,
        "events": rate * passed,
        "cpu": {name: (after.cpu[name] - before.cpu[name]) / passed for name in after.cpu},
        "threads": {
            name: by_thread(before.threads[name], after.threads[name], seconds=passed)
            for name in after.threads
        },
        "printed": printed,
        "is_behind": is_behind(printed, due=record_bytes * rate * passed),
    }


def is_behind(printed_bytes: int, *, due: float) -> bool:
    """Whether so little was printed that it can't have been all that was due."""
    return printed_bytes < _ENOUGH * due


def by_thread(
    before: Mapping[int, Thread], after: Mapping[int, Thread], *, seconds: float
) -> dict[str, dict[str, float]]:
    """CPU and sleeps a second of the threads of each name. Those that have ended don't count."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: {"cpu": 0.0, "sleeps": 0.0})
    for number, thread in after.items():
        early = before.get(number, Thread(thread.name, 0.0, 0))
        sums[thread.name]["cpu"] += (thread.cpu - early.cpu) / seconds
        sums[thread.name]["sleeps"] += (thread.sleeps - early.sleeps) / seconds
    return dict(sums)


def memory(programs: Mapping[str, Program]) -> dict[str, dict[str, int]]:
    """Bytes by program: resident now and at most; with shared pages by their share."""
    return {
        name: {
            "resident": program.memory_bytes(),
            "peak": program.peak_memory_bytes(),
            "fair": _fair(program),
        }
        for name, program in programs.items()
    }


def _fair(program: Program) -> int:
    with suppress(OSError, ProgramError):  # some kernels don't have it
        return shared_fairly(program.pid)
    return 0


def _account(contestant: Contestant) -> _Account:
    programs = contestant.programs
    return _Account(
        at=time.monotonic(),
        cpu={name: cpu_seconds(program.pid) for name, program in programs.items()},
        threads={name: threads(program.pid) for name, program in programs.items()},
        printed=written_bytes(contestant.printer.pid),
    )


def _others(contestants: Mapping[str, Contestant], accounts: Mapping[str, _Account]) -> float:
    """CPU seconds of all the machine that are not the bench's."""
    programs = sum(sum(account.cpu.values()) for account in accounts.values())
    sources = sum(cpu_seconds(contestant.source.pid) for contestant in contestants.values())
    return machine_cpu_seconds() - programs - sources - time.process_time()
