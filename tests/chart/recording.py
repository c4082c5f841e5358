"""Series of a real pair, recorded for promtool, and the way they would have gone on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import urllib3
from prometheus_client.parser import text_string_to_metric_families

# What Prometheus puts on every sample of a target.
TARGET = {"cluster": "berlin", "namespace": "logging", "job": "events-eventrouter"}
# They are not about the pair, and promtool would read them for nothing.
_IGNORED = ("python_", "process_")
_PAUSE_SECONDS = 1.0


class Scrape(NamedTuple):
    """The samples by their series, and the endpoints that answered."""

    samples: dict[str, float]
    endpoints: set[str]


class Recording:
    """What two endpoints say each second. Times are in seconds since the recording began."""

    interval_seconds = _PAUSE_SECONDS

    def __init__(self, watcher_url: str, fluent_bit_url: str) -> None:
        self._endpoints = {"10.0.0.1:8080": watcher_url, "10.0.0.1:2020": fluent_bit_url}
        self._http = urllib3.PoolManager(retries=False, timeout=0.5)
        self._began = time.time()
        self._scrapes: list[Scrape] = []
        self._turn = 0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self._scrapes) * _PAUSE_SECONDS

    def turn(self) -> None:
        """From here on something is wrong, and stays so."""
        self._turn = len(self._scrapes)

    def record(self, seconds: float, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Scrape for so long, and call `meanwhile` before each. What does not answer has no
        samples.

        Longer, if the last scrape lacks the answer of an endpoint that has answered since the last
        turn: it would be taken for gone.
        """
        end = self.seconds + seconds

        def is_over() -> bool:
            answered = (scrape.endpoints for scrape in self._scrapes[self._turn :])
            return self.seconds >= end and set().union(*answered) <= self._scrapes[-1].endpoints

        self.record_until(is_over, meanwhile=meanwhile, timeout=seconds + 60, what="all answers")

    def record_until(
        self,
        happened: Callable[[], bool],
        *,
        meanwhile: Callable[[], None] = lambda: None,
        timeout: float = 60.0,
        what: str,
    ) -> None:
        """Scrape until `happened`, at least once: a wait beside the recording would be missing in
        it.
        """
        end = self.seconds + timeout
        while True:
            meanwhile()
            self._scrape()
            if happened():
                return
            assert self.seconds < end, f"{what} did not come within {timeout} s"

    def series(self, *, going_on_seconds: float) -> Mapping[str, str]:
        """All series in promtool's notation. They go on as since the last turn: a counter at its
        pace, and a time that stood still does so for ever.
        """
        steps = round(going_on_seconds / _PAUSE_SECONDS)
        names = {name for scrape in self._scrapes for name in scrape.samples}
        return {name: f"{self._recorded(name)} {self._going_on(name, steps)}" for name in names}

    def _scrape(self) -> None:
        """When it is due. One that was due a whole pause ago was missed."""
        while (wait := self._began + self.seconds - time.time()) < -_PAUSE_SECONDS:
            self._scrapes.append(Scrape({}, set()))
        time.sleep(max(0.0, wait))
        scrape = Scrape({}, set())
        for instance, url in self._endpoints.items():
            try:
                text = self._http.request("GET", url).data.decode()
            except urllib3.exceptions.HTTPError:
                continue
            scrape.endpoints.add(instance)
            scrape.samples.update(self._samples(text, instance))
        self._scrapes.append(scrape)

    def _recorded(self, name: str) -> str:
        return " ".join(_text(scrape.samples.get(name)) for scrape in self._scrapes)

    def _going_on(self, name: str, steps: int) -> str:
        last = self._scrapes[-1].samples.get(name)
        if last is None:
            return "stale"
        if math.isnan(last):
            return " ".join(["NaN"] * steps)
        end = [scrape.samples.get(name, last) for scrape in self._scrapes[self._turn :]]
        pace = (end[-1] - end[0]) / (len(end) - 1)
        if "_timestamp_seconds" in name and pace:
            pace = _PAUSE_SECONDS
        return f"{last + pace:f}{pace:+f}x{steps}"

    def _samples(self, text: str, instance: str) -> dict[str, float]:
        target = {**TARGET, "instance": instance}
        samples: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.startswith(_IGNORED):
                    continue
                # A label that the target has as well is put aside; an empty one is none.
                labels = {
                    f"exported_{key}" if key in target else key: value
                    for key, value in sample.labels.items()
                    if value
                }
                value = sample.value
                if sample.name.endswith("_timestamp_seconds"):
                    value -= self._began
                samples[_series(sample.name, target | labels)] = value
        return samples


def _series(name: str, labels: Mapping[str, str]) -> str:
    return "{}{{{}}}".format(name, ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)))


def _text(value: float | None) -> str:
    if value is None:
        return "_"
    return "NaN" if math.isnan(value) else f"{value:f}"
