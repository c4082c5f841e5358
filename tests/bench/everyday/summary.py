"""Several runs as one: the median of each figure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

Figures = dict[str, Any]


def summary(runs: Sequence[Figures]) -> Figures:
    """The same shape as one run. What is no number comes from the first run that has it."""
    found: Figures = _middle([_without_errors(run) for run in runs])
    return found


def errors(runs: Sequence[Figures]) -> list[str]:
    """What failed, each with its run."""
    return [
        f"run {number}, {name}: {figures['error']}"
        for number, run in enumerate(runs, 1)
        for name, figures in run.items()
        if "error" in figures
    ]


def _without_errors(run: Figures) -> Figures:
    return {name: figures for name, figures in run.items() if "error" not in figures}


def _middle(values: Sequence[Any]) -> Any:
    present = [value for value in values if value is not None]
    if not present:
        return None
    first = present[0]
    if isinstance(first, dict):
        keys = dict.fromkeys(key for value in present for key in value)
        return {key: _middle([value[key] for value in present if key in value]) for key in keys}
    if isinstance(first, bool):
        return any(present)
    if isinstance(first, int | float):
        return median(present)
    return first
