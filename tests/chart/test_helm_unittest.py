"""The chart's own unit tests, which `helm unittest` runs as well."""

from __future__ import annotations

import subprocess

from tests.chart.chart import CHART
from tests.programs.required import required


def test_the_charts_unit_tests_pass():
    done = subprocess.run(
        [required("helm-unittest"), "--strict", CHART], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
