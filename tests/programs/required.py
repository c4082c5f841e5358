"""The programs without which a test is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.catalog import find


def required(name: str) -> Path:
    """Where the program is. If it is missing, skip the test and say what helps."""
    part = find(name)
    if part.path is None:
        pytest.skip(f"REAL PART MISSING: {part.name}: {part.remedy}")
    return part.path
