from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FLUENT = Path(__file__).parents[2] / "fluent"


@pytest.fixture(scope="session")
def fluent_bit() -> str:
    """The real program: the one that FLUENT_BIT names, else the one on the PATH."""
    named = os.environ.get("FLUENT_BIT")
    program = shutil.which(named or "fluent-bit")
    if program is None:
        if named:
            pytest.fail(f"FLUENT_BIT={named} is no program")
        pytest.skip("no fluent-bit on the PATH, and FLUENT_BIT does not name one")
    return program


@pytest.fixture(scope="session")
def fluent_folder() -> Path:
    return FLUENT
