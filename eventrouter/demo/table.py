"""The demo's table: a row for each record, in the style of `kubectl get events --watch`. Pure.

No row takes more cells than the terminal has; a narrow terminal shows fewer columns.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from eventrouter.demo.cells import fit

# Codes of Select Graphic Rendition (ECMA-48) that every terminal with colours knows.
_BOLD, _DIM, _GREEN, _YELLOW, _CYAN = 1, 2, 32, 33, 36
_VERB_COLOURS = {"ADDED": _GREEN, "UPDATED": _CYAN}

# In this order, as for the record's own time (docs/architecture.md).
_TIMES = (
    ("series", "lastObservedTime"),
    ("lastTimestamp",),
    ("eventTime",),
    ("firstTimestamp",),
    ("metadata", "creationTimestamp"),
)
# kubectl's short names of the kinds whose names would take most of the column.
_SHORT_NAMES = {
    "CertificateSigningRequest": "csr",
    "CustomResourceDefinition": "crd",
    "HorizontalPodAutoscaler": "hpa",
    "PersistentVolume": "pv",
    "PersistentVolumeClaim": "pvc",
    "PodDisruptionBudget": "pdb",
    "ReplicationController": "rc",
}


class _Column(NamedTuple):
    """A column, shown if the terminal is at least `from_width` cells wide."""

    title: str
    cells: int
    from_width: int = 0


class Table:
    """Renders rows for a terminal of `width` cells, with times in `zone` (default: local time)."""

    def __init__(self, width: int, *, colour: bool, zone: tzinfo | None = None) -> None:
        self.width = width
        self._colour = colour
        self._zone = zone
        self._columns = _columns(width)

    @property
    def header(self) -> str:
        """The titles of the columns."""
        titles = {column.title: column.title for column in self._columns}
        return self._line(titles, dict.fromkeys(titles, _BOLD))

    def row(self, record: Any) -> str:
        """The row of a record. A field that is missing, or not of its type, is left empty."""
        event = _at(record, "event")
        verb, event_type = _text(_at(record, "verb")), _text(_at(event, "type"))
        texts = {
            "TIME": self._time(event),
            "TYPE": event_type,
            "VERB": verb,
            "COUNT": _count(event),
            "NAMESPACE": _text(_at(event, "metadata", "namespace")),
            "OBJECT": _object(event),
            "REASON": _text(_at(event, "reason")),
            "MESSAGE": _text(_at(event, "message")),
        }
        styles = {"TIME": _DIM}
        if verb in _VERB_COLOURS:
            styles["VERB"] = _VERB_COLOURS[verb]
        if event_type == "Warning":
            styles |= {"TYPE": _YELLOW, "REASON": _YELLOW}
        return self._line(texts, styles)

    def text(self, text: str) -> str:
        """A line that is no record, without columns."""
        return fit(text, self.width).rstrip()

    def _line(self, texts: dict[str, str], styles: dict[str, int]) -> str:
        cells = []
        for title, width, _ in self._columns:
            text = texts[title].rjust(width) if title == "COUNT" else texts[title]
            cell = fit(text, width)
            if self._colour and title in styles:
                cell = f"\x1b[{styles[title]}m{cell}\x1b[0m"
            cells.append(cell)
        return " ".join(cells).rstrip()

    def _time(self, event: Any) -> str:
        for path in _TIMES:
            try:
                time = datetime.fromisoformat(_text(_at(event, *path)))
                return time.astimezone(self._zone).strftime("%H:%M:%S")
            except (ValueError, OverflowError):  # no time, or one at the end of the calendar
                continue
        return ""


def _columns(width: int) -> list[_Column]:
    """The columns that there is room for. The last one takes the rest of the width."""
    columns = [
        _Column("TIME", 8, from_width=40),
        _Column("TYPE", 7, from_width=60),
        _Column("VERB", 7, from_width=72),
        _Column("COUNT", 5, from_width=80),
        _Column("NAMESPACE", 9, from_width=120),
        _Column("OBJECT", min(max(width // 4, 16), 40)),
        _Column("REASON", min(max(width // 6, 12), 20), from_width=24),
        _Column("MESSAGE", 0, from_width=60),
    ]
    *others, last = (column for column in columns if column.from_width <= width)
    taken = sum(column.cells + 1 for column in others)
    return [*others, last._replace(cells=width - taken)]


def _object(event: Any) -> str:
    """As kubectl names an object: `pod/web-7d4b`."""
    kind, name = (_text(_at(event, "involvedObject", field)) for field in ("kind", "name"))
    return f"{_SHORT_NAMES.get(kind, kind.lower())}/{name}" if kind else name


def _count(event: Any) -> str:
    count = _at(event, "series", "count") or _at(event, "count") or 1
    return str(count) if isinstance(count, int) else ""


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
