"""The expressions of a dashboard for Prometheus, and what Prometheus' own promtool says of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.programs.required import required

Json = dict[str, Any]


def expressions(dashboard: Json, *, interval: str) -> list[tuple[str, str]]:
    """Title and expression of each query, with all variables set: all pairs, this interval."""
    variables = {
        f"${each['name']}": each["allValue"]
        for each in dashboard["templating"]["list"]
        if each["type"] == "query"
    }
    found = []
    panels = [inner for each in dashboard["panels"] for inner in (each, *each.get("panels", ()))]
    for panel in panels:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$__rate_interval", interval)
            text = text.replace("$__range", interval)
            for name, value in variables.items():
                text = text.replace(name, value)
            assert "$" not in text, text
            found.append((panel["title"], text))
    return found


def names(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(re.findall(r"\b((?:eventrouter|fluentbit|process)_\w+)\{", expression))


def without_threshold(expression: str) -> str:
    """The expression as it is on a day without troubles: those that show only troubles show 0."""
    return re.sub(r" > 0(\)?)$", r"\1", expression)


def check_answers(
    folder: Path,
    asked: Sequence[str],
    series: Mapping[str, str],
    *,
    interval_seconds: float,
    at_seconds: float,
) -> None:
    """Fail unless Prometheus computes at least one value for each expression."""
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": f"{interval_seconds:g}s",
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": f"count({each}) > bool 0",
                        "eval_time": f"{at_seconds:g}s",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                    for each in asked
                ],
            }
        ],
    }
    path = folder / "expressions.json"
    path.write_text(json.dumps(test))
    done = subprocess.run(
        [required("promtool"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
