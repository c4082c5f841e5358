"""Build programs: one step at a time, at the lowest priority, and kept for every later run.

Builds are kept in `${XDG_CACHE_HOME:-~/.cache}/eventrouter/parts/`, in a folder for each version.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[str], None]


class BuildError(Exception):
    """A build ended with an error; the message has its last lines."""


def cache_folder() -> Path:
    """Where builds are kept, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "eventrouter" / "parts"


def make_once(target: Path, build_in: Callable[[Path], None]) -> None:
    """Have a folder built elsewhere and moved to `target` in one step, unless it is there by now.

    Two runs that want the same target wait for each other, and only one builds it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            folder.chmod(0o755)
            build_in(folder)
            folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def run(
    command: list[str],
    *,
    cwd: Path,
    environment: dict[str, str] | None = None,
    path: Path | None = None,
) -> None:
    """Run a build step at the lowest priority. Raises BuildError with the end of its output."""
    variables = {**os.environ, **(environment or {})}
    if path is not None:
        variables["PATH"] = f"{path}{os.pathsep}{variables.get('PATH', '')}"
    nice = shutil.which("nice")
    started = time.monotonic()
    done = subprocess.run(
        [*([nice, "-n", "19"] if nice else []), *command],
        cwd=cwd,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        seconds = time.monotonic() - started
        raise BuildError(f"{' '.join(command[:3])} … failed after {seconds:.0f} s:\n{tail}")
