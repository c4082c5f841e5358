"""Metrics whose series are kept elsewhere, as they are bounded in number, or are in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Family = CounterMetricFamily | GaugeMetricFamily
# The values of the labels, and a value.
Shown = Callable[[], Iterable[tuple[Sequence[str], float]]]


class KeptElsewhere(Collector):
    """One metric. `shown` gives its series at each scrape, `family` the metric without any."""

    def __init__(self, family: Callable[[], Family], shown: Shown) -> None:
        self._family = family
        self._shown = shown

    def describe(self) -> Iterable[Family]:
        """No value: else registering it would show each series for the first time."""
        return [self._family()]

    def collect(self) -> Iterable[Family]:
        family = self._family()
        for labels, value in self._shown():
            family.add_metric(labels, value)
        return [family]
