"""docs/migrating.md shows values that the chart takes, and that Fluent Bit does."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.chart.chart import ROOT, outputs_of, render, write_config
from tests.programs.fluentbit import dry_run
from tests.programs.required import required

TEXT = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"(?ms)^```yaml\n(.*?)^```$", TEXT)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_fluent_bit_takes_the_values_of_an_example(example, tmp_path):
    objects = render(values=yaml.safe_load(example))
    assert any("processors" in output for output in outputs_of(objects).values())
    done = dry_run(required("fluent-bit"), write_config(objects, tmp_path))
    assert done.returncode == 0, done.stderr
    assert "[error]" not in done.stderr
