"""What Prometheus makes of the chart's alerts: its own promtool evaluates them over series."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.chart.chart import Json, one, render
from tests.programs.required import required

FIRING = 'ALERTS{alertstate="firing"}'


def write_rules(folder: Path, case: str = "service-monitor", values: Json | None = None) -> Path:
    """The rendered PrometheusRule as a rule file of Prometheus."""
    path = folder / "rules.json"
    path.write_text(json.dumps(one(render(case, values), "PrometheusRule")["spec"]))
    return path


def check_rules(rules: Path) -> None:
    """Fail unless Prometheus takes the file, with its expressions and its texts."""
    _run("check", "rules", str(rules))


def check_firing(
    rules: Path,
    series: Mapping[str, str],
    expected: Mapping[float, Sequence[Mapping[str, str]]],
    *,
    interval_seconds: float,
) -> None:
    """Fail unless exactly these alerts fire at these seconds, each with these labels.

    `series` have a value for each interval, in promtool's notation.
    """
    test = {
        "rule_files": [rules.name],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": f"{interval_seconds:g}s",
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": FIRING,
                        "eval_time": f"{at:g}s",
                        "exp_samples": [{"labels": _sample(alert), "value": 1} for alert in alerts],
                    }
                    for at, alerts in expected.items()
                ],
            }
        ],
    }
    path = rules.with_name("test.json")
    path.write_text(json.dumps(test))
    _run("test", "rules", str(path))


def _sample(alert: Mapping[str, str]) -> str:
    labels = {"alertstate": "firing", **alert}
    return "ALERTS{{{}}}".format(
        ",".join(f"{name}={json.dumps(text)}" for name, text in labels.items())
    )


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [required("promtool"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
