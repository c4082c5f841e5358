"""The chart's own unit tests, which `helm unittest` runs as well."""

from __future__ import annotations

import subprocess

import pytest

from tests.chart import programs
from tests.chart.chart import CHART


def test_the_charts_unit_tests_pass():
    program = programs.find("helm-unittest")
    if program is None:
        pytest.skip(
            "there is no helm-unittest: `python -m tests.chart.programs` builds it,"
            " or set HELM_UNITTEST"
        )
    done = subprocess.run(
        [str(program), "--strict", str(CHART)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
