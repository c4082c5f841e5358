"""What a sick output writes into the log, which `kubectl logs` shows beside the events.

With the project's settings as they are: the lines of a hung output come at its timeout, three
minutes after the requests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.drills.drill import figure
from tests.drills.outage import Outage
from tests.drills.sink import Mood, Sink
from tests.e2e.conftest import part  # noqa: F401

pytestmark = pytest.mark.e2e

# Six of "no connection available", and one for each of 16 connections in three minutes.
LINES_A_MINUTE = 12


def test_hung_output_writes_few_lines(
    part: Callable[[str], Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    """It takes requests and answers none, at ten events a second for longer than its timeout."""
    hung = Sink("hung", Mood.HUNG)
    with Outage(tmp_path, binary=part("fluent-bit"), optional={hung: "24M"}) as outage:
        outage.load(10.0, events=figure(2_400, long=12_000))
        outage.settle()
        assert outage.log_lines, "the operator has to see which output it is"
        assert outage.lines_a_minute() <= LINES_A_MINUTE, "\n".join(outage.log_lines[-20:])
