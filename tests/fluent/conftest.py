"""What tests of the sidecar's config share: the real Fluent Bit and the folder of the config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.programs import find
from tests.programs.required import required

FLUENT = Path(__file__).parents[2] / "fluent"


@pytest.fixture(scope="session")
def fluent_bit() -> Path:
    """The real program. A FLUENT_BIT that names none fails the test."""
    if os.environ.get("FLUENT_BIT") and not find("fluent-bit").is_there:
        pytest.fail(find("fluent-bit").remedy)
    return required("fluent-bit")


@pytest.fixture(scope="session")
def fluent_folder() -> Path:
    return FLUENT
