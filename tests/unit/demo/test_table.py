"""The demo's table: which columns, in which colours, and never wider than the terminal."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest

from eventrouter.demo.table import Table

STYLE = re.compile(r"\x1b\[\d*m")


def record(verb: str = "ADDED", **fields: Any) -> dict[str, Any]:
    event = {
        "metadata": {"name": "web-7d4b.184a", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-7d4b"},
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "lastTimestamp": "2026-03-04T05:06:07Z",
        "count": 3,
        "type": "Warning",
    }
    return {"verb": verb, "event": event | fields, "id": "1-2"}


def plain(width: int) -> Table:
    return Table(width, colour=False, zone=UTC)


def test_a_row_has_what_kubectl_shows_and_the_verb_and_the_count() -> None:
    table = plain(140)

    assert table.header.split() == [
        *("TIME", "TYPE", "VERB", "COUNT", "NAMESPACE", "OBJECT", "REASON", "MESSAGE")
    ]
    assert re.split(" +", table.row(record("UPDATED")), maxsplit=7) == [
        *("05:06:07", "Warning", "UPDATED", "3", "shop", "pod/web-7d4b", "BackOff"),
        "Back-off restarting failed container",
    ]
    for title, text in (("COUNT", "    3"), ("OBJECT", "pod/web"), ("MESSAGE", "Back-off rest")):
        assert table.row(record()).index(text) == table.header.index(title)


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (10, "OBJECT"),
        (24, "OBJECT REASON"),
        (39, "OBJECT REASON"),
        (40, "TIME OBJECT REASON"),
        (60, "TIME TYPE OBJECT REASON MESSAGE"),
        (72, "TIME TYPE VERB OBJECT REASON MESSAGE"),
        (80, "TIME TYPE VERB COUNT OBJECT REASON MESSAGE"),
        (120, "TIME TYPE VERB COUNT NAMESPACE OBJECT REASON MESSAGE"),
    ],
)
def test_a_narrower_terminal_shows_fewer_columns(width: int, titles: str) -> None:
    assert plain(width).header.split() == titles.split()


@pytest.mark.parametrize(
    "text",
    ["x" * 500, "日本語" * 100, "e\u0301" * 300, "\x1b[31m" * 100, ""],
    ids=["long", "wide", "combining", "control", "empty"],
)
def test_no_row_of_any_width_is_wider_than_the_terminal(text: str) -> None:
    odd = record(
        reason=text,
        message=text,
        type=text,
        involvedObject={"kind": text, "name": text},
        metadata={"namespace": text},
        count=10**12,
    )

    for width in range(1, 130):
        for line in (plain(width).header, plain(width).row(odd), plain(width).text(text)):
            assert _cells(line) <= width
            assert line.isprintable()


def _cells(line: str) -> int:
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in line
    )


def test_the_message_gets_the_rest_of_the_width() -> None:
    text = "m" * 300

    for width in (60, 80, 120, 250):
        assert len(plain(width).row(record(message=text))) == width


def test_a_warning_and_the_verb_have_colours_and_the_same_text_as_without() -> None:
    coloured = Table(100, colour=True, zone=UTC)

    warning = coloured.row(record("ADDED"))
    normal = coloured.row(record("UPDATED", type="Normal"))

    assert "\x1b[33mWarning\x1b[0m" in warning
    assert "\x1b[33mBackOff" in warning
    assert "\x1b[32mADDED" in warning
    assert "\x1b[33m" not in normal
    assert "\x1b[36mUPDATED" in normal
    assert STYLE.sub("", warning) == plain(100).row(record("ADDED"))
    assert STYLE.sub("", coloured.header).rstrip() == plain(100).header
    assert "\x1b" not in plain(100).row(record())


def test_a_message_cannot_send_an_escape_to_the_terminal() -> None:
    row = plain(200).row(record(message="\x1b[2Jgone\nADDED fake row"))

    assert row.endswith(r"\x1b[2Jgone\nADDED fake row")


@pytest.mark.parametrize(
    ("fields", "time"),
    [
        ({"series": {"lastObservedTime": "2026-03-04T07:08:09.123456Z"}}, "07:08:09"),
        ({"lastTimestamp": None, "eventTime": "2026-03-04T08:00:00.5Z"}, "08:00:00"),
        ({"lastTimestamp": "tomorrow", "firstTimestamp": "2026-03-04T09:00:00Z"}, "09:00:00"),
        (
            {"lastTimestamp": None, "metadata": {"creationTimestamp": "2026-03-04T10:00:00Z"}},
            "10:00:00",
        ),
        ({"lastTimestamp": None}, " "),
    ],
    ids=["series", "eventTime", "unreadable", "created", "none"],
)
def test_the_time_is_the_last_that_the_event_has(fields: dict[str, Any], time: str) -> None:
    assert plain(100).row(record(**fields)).startswith(time)


def test_times_are_in_the_given_zone_if_the_calendar_has_them_there() -> None:
    east = Table(100, colour=False, zone=timezone(timedelta(hours=5, minutes=30)))
    last = "9999-12-31T23:59:59Z"

    assert east.row(record()).startswith("10:36:07 ")
    assert east.row(record(lastTimestamp=last, eventTime=None)).startswith("         Warning")


@pytest.mark.parametrize(
    ("fields", "count"),
    [({"count": 7}, "7"), ({"series": {"count": 9}, "count": 7}, "9"), ({"count": None}, "1")],
)
def test_the_count_is_that_of_the_series_or_of_the_event(
    fields: dict[str, Any], count: str
) -> None:
    assert plain(100).row(record(**fields)).split()[3] == count


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("Pod", "pod/web"),
        ("HorizontalPodAutoscaler", "hpa/web"),
        ("MyKind", "mykind/web"),
        ("", "web"),
    ],
)
def test_an_object_is_named_as_kubectl_names_it(kind: str, shown: str) -> None:
    row = plain(100).row(record(involvedObject={"kind": kind, "name": "web"}))

    assert row.split()[4] == shown


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        7,
        {},
        {"verb": 1, "event": []},
        {"event": {"involvedObject": "pod", "series": 3, "type": {}, "count": "x", "reason": []}},
        {"event": {"involvedObject": {"kind": None, "name": "web"}, "metadata": []}},
    ],
)
def test_an_odd_record_has_a_row_all_the_same(odd: Any) -> None:
    assert len(plain(100).row(odd)) <= 100


def test_a_line_that_is_no_record_is_escaped_and_cut() -> None:
    assert plain(12).text("\x1b[1mFluent Bit v5") == r"\x1b[1mFlue…"
