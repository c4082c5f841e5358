"""Each label value that the code counts under is one that the metrics have from the start."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Counter

from eventrouter.capture.record import TAG_SUFFIXES
from eventrouter.ops.metrics import TYPES, Metrics

PACKAGE = Path(__file__).parents[2] / "eventrouter"


def counted() -> Iterator[tuple[str, list[str | None]]]:
    """The counter and the label values of each call of `metrics.<counter>.labels(…).inc(…)`.

    None stands for a value that is no literal.
    """
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr=str(counter)), attr="labels"),
                    args=arguments,
                ):
                    yield (
                        counter,
                        [
                            argument.value
                            if isinstance(argument, ast.Constant)
                            and isinstance(argument.value, str)
                            else None
                            for argument in arguments
                        ],
                    )


def known_values(counter: Counter) -> list[tuple[str, ...]]:
    return [
        tuple(sample.labels.values())
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    ]


def test_every_label_value_in_the_code_is_known_from_the_start() -> None:
    """The values that are no literals are of types that mypy holds to the closed set."""
    metrics = Metrics()
    counters = vars(metrics) | metrics.add_enrichment(lambda: 0.0)._asdict()
    calls = [call for call in counted() if isinstance(counters[call[0]], Counter)]

    assert len(calls) > 10
    for name, values in calls:
        known = known_values(counters[name])
        assert any(
            all(value in (None, other) for value, other in zip(values, combination, strict=True))
            for combination in known
        ), f"metrics.{name} does not know {values}"


def test_the_types_of_metrics_are_the_last_parts_of_tags() -> None:
    assert TYPES == TAG_SUFFIXES
