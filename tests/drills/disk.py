"""A small filesystem of its own, as a volume with a size limit is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 2**20


class SmallDisk:
    """Mounted at `path`. Whatever is written beyond its size is refused: no space left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def free_bytes(self) -> int:
        """What can still be written."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        """Take all that is left now, as a neighbour on the same disk may."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass  # full

    def relieve(self) -> None:
        """Give that back."""
        self._ballast.unlink()


@contextmanager
def mounted(path: Path, *, mebibytes: int) -> Iterator[SmallDisk]:
    """A filesystem of this size at `path`; skips the test, loudly, where none can be mounted."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"NO SMALL DISK: {error}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"NO SMALL DISK: {error.stderr.strip()} (mounting takes root)")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
