"""The unit tests' fixtures, and how hypothesis runs in them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from eventrouter.ops.metrics import Metrics
from tests.support.clock import FakeClock, FakeStop

# No deadline: how long one example takes says more about the machine than about the code. The few
# properties that need more examples say so themselves.
settings.register_profile("unit", deadline=None, max_examples=50)
settings.load_profile("unit")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stop() -> FakeStop:
    return FakeStop()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Whatever the test does to the loggers' set-up ends with it."""
    root, urllib3 = logging.getLogger(), logging.getLogger("urllib3")
    handlers, level, urllib3_level = list(root.handlers), root.level, urllib3.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    urllib3.setLevel(urllib3_level)
