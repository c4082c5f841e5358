"""The guides show values that the chart takes, and that Fluent Bit does."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise

import pytest
import yaml

from tests.chart.chart import (
    CHART,
    NEWEST,
    ROOT,
    config_of,
    helm,
    leave_out_newer,
    render,
    write_config,
)
from tests.chart.test_fluent_bit import used_variables
from tests.programs.fluentbit import dry_run
from tests.programs.required import required

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def found(pattern):
    """What a pattern finds on all pages, by the page's name and a number."""
    return {
        f"{page.relative_to(ROOT)}-{number}": text
        for page in PAGES
        for number, text in enumerate(re.findall(pattern, page.read_text(encoding="utf-8")))
    }


# Every block of YAML on these pages is values of the chart.
EXAMPLES = found(r"(?ms)^```yaml\n(.*?)^```$")
COMMANDS = found(r"(?m)^ *helm (?:install|upgrade) (?:.*\\\n)*.*$")


def test_there_are_values_and_commands_to_look_at():
    assert EXAMPLES
    assert COMMANDS


@pytest.mark.parametrize("name", EXAMPLES)
def test_fluent_bit_takes_the_values_of_an_example(name, tmp_path):
    values = yaml.safe_load(EXAMPLES[name])
    objects = render(values=values)
    texts = config_of(objects)
    rendered = list(steps(yaml.safe_load(texts["fluent-bit.yaml"])))
    assert [step for step in steps(values) if step not in rendered] == []
    variables = dict.fromkeys(set().union(*map(used_variables, texts.values())), "given")
    config = write_config(objects, tmp_path)
    leave_out_newer(config)
    done = dry_run(required("fluent-bit"), config, variables)
    assert done.returncode == 0, done.stderr
    assert "[error]" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_chart_takes_the_settings_of_a_command(name):
    words = shlex.split(COMMANDS[name].replace("\\\n", " "))
    assert words[3] == "charts/eventrouter", "the chart stands after the release"
    settings = [f"--set={value}" for option, value in pairwise(words) if option == "--set"]
    helm("template", words[2], str(CHART), "--kube-version", NEWEST, *settings)


def test_several_expressions_say_how_they_are_joined():
    """Without it, Fluent Bit 5.1.1 heeds only the first."""
    shown = [step for text in EXAMPLES.values() for step in steps(yaml.safe_load(text))]
    assert shown
    for step in shown:
        if isinstance(step.get("regex"), list):
            assert step["logical_op"] == "and"


def test_the_roles_for_eck_are_those_of_the_files():
    page = (ROOT / "docs/how-to/eck.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"(?ms)^ *roles\.yml: \|\n(.*?)^ *---$", page)
    for name, role in yaml.safe_load(shown).items():
        which = name.removeprefix("kube-events-")
        file = ROOT / f"fluent/index/elasticsearch-{which}-role.json"
        assert {"cluster": [], **role} == json.loads(file.read_text(encoding="utf-8"))


def steps(values):
    """The steps of all processors of logs, of values or of a config."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from value if key == "logs" else steps(value)
    elif isinstance(values, list):
        for value in values:
            yield from steps(value)
