"""docs/configuration.md, from what each setting says of itself. `python -m tests.chart.manifest`
writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from eventrouter.cli import OPTIONS
from eventrouter.setup.settings import OPTIONS as SETUP_OPTIONS
from eventrouter.setup.settings import SetupOption
from eventrouter.setup.sinks import OPTIONS as CHECK_OPTIONS
from eventrouter.setup.sinks import variable
from tests.chart.output_types import OutputTypes, table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"
FLUENT = ROOT / "fluent"
CHART_README = ROOT / "charts" / "eventrouter" / "README.md"

_TOP = """\
<!-- Written by `python -m tests.chart.manifest`, never edited by hand. -->

# Configuration

There are settings for [the watcher](#the-watcher), for [the check](#the-check), for [the
setup](#the-setup) of the index, for [Fluent Bit](#fluent-bit), and for [the chart](#the-chart),
which sets the watcher, the check and Fluent Bit. If you use the chart and it has a value for a
setting, change the value. The metrics are in the [operations reference](operations.md#metrics).
"""
_WATCHER = """\
## The watcher

`eventrouter` and `eventrouter check` take these options. An option overrides its variable, and an
empty variable counts as not set. A size is a number of bytes, or has a unit: `64K` is 64,000;
`64Ki` and `64KiB` are 65,536. In the chart, put a variable that has no value of its own into
`watcher.env`.
For the options of the demo, see `eventrouter demo --help`.
"""
_WATCHER_END = """\
Two variables have no option: `EVENTROUTER_POD_NAME` and `EVENTROUTER_POD_UID`. The chart sets them.
Together they identify the watcher in an election.
"""
_CHECK = """\
## The check

`eventrouter check` takes the watcher's options and these. They tell it which Elasticsearch and
OpenSearch to look at. The chart sets the variables.
"""
_CHECK_END = """\
The login of the writer comes from variables only: `EVENTROUTER_CHECK_USER` and
`EVENTROUTER_CHECK_PASSWORD`, or `EVENTROUTER_CHECK_API_KEY`. If you add `_FILE` to a name, the
variable names a file that holds the value.

If there are several outputs, give each a name and its own variables: for the output `east`,
`EVENTROUTER_CHECK_EAST__ELASTICSEARCH`, `EVENTROUTER_CHECK_EAST__INDEX_PREFIX`,
`EVENTROUTER_CHECK_EAST__USER`, and so on.
"""
_SETUP = """\
## The setup

`eventrouter setup` prepares Elasticsearch or OpenSearch: see [Set up the
index](how-to/set-up-the-index.md). Give it exactly one of `--elasticsearch` and `--opensearch`.
"""
_SETUP_END = """\
The login comes from variables only, so that it is in no process list: `EVENTROUTER_SETUP_USER` and
`EVENTROUTER_SETUP_PASSWORD`, or `EVENTROUTER_SETUP_API_KEY`. If you add `_FILE` to a name, the
variable names a file that holds the value.
"""
_FLUENT = """\
## Fluent Bit

[`fluent/fluent-bit.yaml`](../fluent/fluent-bit.yaml) and, without `ES_…`,
[`fluent/stdout.yaml`](../fluent/stdout.yaml) read these environment variables. An empty one counts
as not set. In the chart, put a variable that has no value of its own into `fluentBit.env`.
"""
_EXAMPLES = """\
### The examples

Each file in `fluent/examples/` is a complete configuration. It reads the variables listed here, and
those above without `ES_…`.
"""
_CHART = """\
## The chart

`helm install` takes these values by `--set` and `--values`. The chart refuses a key that is not
listed here, and names it.
"""
_OUTPUT_TYPES = """\
### Types of outputs

`outputs` is a map from a name of your choice to an output. The keys here are those of one output,
such as `host` for `outputs.NAME.host`; which there are depends on its `type`.
"""


def page() -> str:
    """The whole page."""
    examples = sorted((FLUENT / "examples").glob("*.yaml"))
    parts = [
        _TOP,
        _WATCHER,
        table(["option", "variable", "default", "meaning"], options()),
        _WATCHER_END,
        _CHECK,
        table(["option", "variable", "default", "meaning"], check_options()),
        _CHECK_END,
        _SETUP,
        table(["option", "default", "meaning"], setup_options()),
        _SETUP_END,
        _FLUENT,
        table(["variable", "default", "meaning"], variables(FLUENT / "fluent-bit.yaml")),
        _EXAMPLES,
        *(part for path in examples for part in _example(path)),
        _CHART,
        chart_values(),
        chart_rules(),
        _OUTPUT_TYPES,
        OutputTypes().tables(level=4),
    ]
    return "\n".join(parts)


def options() -> Iterator[list[str]]:
    """The watcher's options. The help of each ends with its default."""
    for option in OPTIONS:
        found = re.fullmatch(r"(.*) \((.*)\)", option.help)
        assert found, f"the help of {option.flag} does not end with its default"
        meaning, default = found.groups()
        option_text = f"`{option.flag} {option.metavar}`"
        yield [option_text, f"`{option.variable}`", _default(default), meaning]


def setup_options() -> Iterator[list[str]]:
    """The options of `eventrouter setup`."""
    for option in SETUP_OPTIONS:
        flag, default, meaning = _row(option)
        yield [flag, default, meaning]


def check_options() -> Iterator[list[str]]:
    """The options that only `eventrouter check` has."""
    for option in CHECK_OPTIONS:
        flag, default, meaning = _row(option)
        yield [flag, f"`{variable(option)}`", default, meaning]


def _row(option: SetupOption) -> tuple[str, str, str]:
    meaning, _, default = option.help.removesuffix(")").rpartition(" (")
    flag = " ".join(filter(None, (option.flag, option.metavar)))
    return f"`{flag}`", _default(default), meaning


def variables(path: Path) -> Iterator[list[str]]:
    """The variables in the head of a file of `fluent/`: a table, with a column for each heading."""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    head = next(line for line in lines if re.fullmatch(r"# +variable +default +meaning", line))
    starts = [head.index(name) for name in ("variable", "default", "meaning")]
    ends = [*starts[1:], None]
    for line in lines:
        cells = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        if not cells[0]:
            return
        name, default, meaning = cells
        yield [f"`{name}`", _default(default.strip("()")), meaning]


def chart_rules() -> str:
    """What the chart's README says of rules, one heading lower."""
    _, heading, rest = CHART_README.read_text(encoding="utf-8").partition("\n## Rules\n")
    assert heading, f"{CHART_README} has no section Rules"
    return f"### Rules\n{rest.partition(chr(10) + '## ')[0]}"


def chart_values() -> str:
    """The values as the chart's README has them, which is made of the values' comments."""
    _, heading, values = CHART_README.read_text(encoding="utf-8").rpartition("\n## Values\n\n")
    assert heading, f"{CHART_README} has no section Values"
    return values


def _example(path: Path) -> list[str]:
    name = path.relative_to(FLUENT.parent).as_posix()
    return [
        f"[`{name}`](../{name}):\n",
        table(["variable", "default", "meaning"], variables(path)),
    ]


def _default(text: str) -> str:
    is_literal = text and " " not in text and text != "none"
    return f"`{text}`" if is_literal else text
