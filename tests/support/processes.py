"""Processes: a script to its end, and what the system says of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.programs.module import ROOT


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with this Python from the repository's root, and see what it printed."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def has_ended(pid: int) -> bool:
    """Whether it is gone, or only waits for its parent to take note."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
