"""What the system says of a process."""

from __future__ import annotations

from pathlib import Path


def has_ended(pid: int) -> bool:
    """Whether it is gone, or only waits for its parent to take note."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
