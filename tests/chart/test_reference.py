"""docs/configuration.md has every setting, as the settings themselves describe it."""

from __future__ import annotations

import re

import pytest
import yaml

from eventrouter.cli import OPTIONS
from eventrouter.ops.metrics import Metrics
from tests.chart import reference
from tests.chart.output_types import OutputTypes

TEXT = reference.PAGE.read_text(encoding="utf-8")
OPERATIONS = reference.ROOT / "docs" / "operations.md"
EXAMPLES = sorted((reference.FLUENT / "examples").glob("*.yaml"))


def first_cells() -> set[str]:
    return set(re.findall(r"(?m)^\| `?([^`|]+?)`? \|", TEXT))


def test_the_page_is_written_from_the_settings():
    assert reference.page() == TEXT, "run python -m tests.chart.manifest"


def test_every_option_has_its_variable_and_default():
    for option in OPTIONS:
        row = rf"(?m)^\| `{option.flag} [^|]+ \| `{option.variable}` \| [^|]+ \| [^|]+ \|$"
        assert re.search(row, TEXT), option.flag


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_variable_of_an_example_is_listed_with_its_default(path):
    code = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8"))
    used = dict(re.findall(r"\$\{(\w+)(?::-([^}]*))?\}", code))
    rows = reference.variables(path)
    assert {name.strip("`"): default.strip("`") for name, default, _ in rows} == used


def test_every_variable_of_the_default_config_is_listed():
    used: set[str] = set()
    for path in (reference.FLUENT / "pipeline.yaml", *reference.FLUENT.glob("outputs/*.yaml")):
        code = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8"))
        used |= set(re.findall(r"\$\{(\w+)", code))
    assert used <= first_cells()


def test_every_value_of_the_chart_is_listed():
    listed = first_cells()

    def check(values, path):
        for key, value in values.items():
            name = f"{path}{key}"
            if isinstance(value, dict) and value and name not in listed:
                check(value, f"{name}.")
            else:
                assert name in listed

    values = reference.CHART_README.with_name("values.yaml").read_text(encoding="utf-8")
    check(yaml.safe_load(values), "")


def test_every_key_of_every_type_of_output_is_listed():
    types = OutputTypes()
    for name in types.names:
        assert f"#### `type: {name}`\n" in TEXT
        rows = types.rows(types.schema(name), types.table[name]["values"])
        assert {key.strip("`") for key, _, _ in rows} <= first_cells(), name


def test_every_metric_is_on_the_page_about_operations():
    named = re.findall(r"`([a-z_…]+)(?:\{[a-z_,]*\})?`", OPERATIONS.read_text(encoding="utf-8"))
    # `…_acked_total` stands for the one above it with another ending.
    ends = tuple(name.removeprefix("…") for name in named if name.startswith("…"))
    for metric in Metrics().registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        if name.startswith("eventrouter_"):
            assert name in named or name.endswith(ends), name
