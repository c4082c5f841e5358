"""What a panel is: a question, what it counts, and how the answer is split. Pure.

Nothing here knows Kibana or Grafana. Queries are in Lucene's syntax, which Kibana, OpenSearch
Dashboards and Grafana all pass on to the server as it is: so a panel asks the same everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

TIME_FIELD = "@timestamp"


class Unit(Enum):
    """What a panel counts. A document is a state: an event has one for each time that it changed.

    The value is the word for it in the panel's title.
    """

    EVENTS = "events"
    STATES = "states"
    OBJECTS = "objects"
    OCCURRENCES = "occurrences"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that the server computes over documents: `function` as it calls it."""

    function: str
    field: str
    label: str


# The server counts different values exactly up to a number, and nearly so above. One figure may be
# exact up to the server's maximum. A split takes that much memory for each value: 4 kB up to 500,
# 256 kB up to the maximum, which has stopped an OpenSearch with a heap of 512 MB.
_PRECISION, _PRECISION_OF_SPLITS = 40_000, 500
# The highest of so many values of each index are compared, so that the highest of all are right. By
# default the server takes a few more than are shown, and an index for each day then misses some.
COMPARED = 2_000
METRICS = {
    Unit.EVENTS: (Metric("cardinality", "event.metadata.uid", "Events"),),
    Unit.STATES: (Metric("count", "", "States"),),
    Unit.OBJECTS: (Metric("cardinality", "event.involvedObject.uid", "Objects"),),
    # Events of core/v1 count in the one field, those of events.k8s.io in the other.
    Unit.OCCURRENCES: (
        Metric("max", "event.count", "Occurrences (count)"),
        Metric("max", "event.series.count", "Occurrences (series)"),
    ),
}


class Shape(Enum):
    """How the answer is drawn."""

    NUMBER = "number"
    TIMELINE = "timeline"
    BARS = "bars"
    TABLE = "table"
    LATEST = "latest"  # the newest documents themselves


@dataclass(frozen=True, slots=True)
class Split:
    """One row, bar or color for each value of the field, for the `size` highest."""

    field: str
    size: int
    label: str


@dataclass(frozen=True, slots=True)
class Period:
    """A time before now, as a query."""

    label: str
    query: str


# A dashboard that compares them has to show two days.
PERIODS = (
    Period("Last 24 hours", f"{TIME_FIELD}:[now-24h TO now]"),
    Period("24 hours before", f"{TIME_FIELD}:[now-48h TO now-24h}}"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One question. `width` is in 24ths of the page.

    `needs` is a sentence: without which setting the panel stays empty.
    """

    question: str
    unit: Unit
    shape: Shape
    query: str
    width: int
    splits: tuple[Split, ...] = ()
    columns: tuple[str, ...] = ()
    compares_periods: bool = False
    needs: str = ""

    @property
    def title(self) -> str:
        """The question, and what is counted."""
        return f"{self.question} ({self.unit.value})"

    @property
    def slug(self) -> str:
        """The question as an id."""
        return slug(self.question)

    @property
    def precision(self) -> int:
        """Up to how many different values are counted exactly."""
        return _PRECISION if self.shape is Shape.NUMBER else _PRECISION_OF_SPLITS

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is computed."""
        return METRICS[self.unit]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side. `height` is in units of about 35 pixels."""

    height: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard, or a part of one. `note` is Markdown."""

    name: str
    summary: str
    note: str
    rows: tuple[Row, ...]

    @property
    def slug(self) -> str:
        """The name as an id."""
        return slug(self.name)

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, as they are read."""
        return tuple(panel for row in self.rows for panel in row.panels)


def slug(text: str) -> str:
    """Lower-case words with hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))
