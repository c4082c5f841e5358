"""Logs on standard error: JSON that machines read, or lines that people read."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from eventrouter.ops import logs

pytestmark = pytest.mark.usefixtures("own_logging")

log = logging.getLogger("eventrouter.some.module")


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    # Not splitlines, which knows more ends of lines than a reader of logs does.
    return [json.loads(line) for line in captured.err.removesuffix("\n").split("\n") if line]


def test_a_json_line_says_when_how_grave_who_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level="info", log_format="json")

    log.warning("Lost %d of %s", 3, "many", extra={"namespace": "shop", "count": 3, "none": None})

    (line,) = json_lines(capsys)
    written = datetime.fromisoformat(line.pop("time"))
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60
    assert line == {
        "level": "WARNING",
        "logger": "eventrouter.some.module",
        "message": "Lost 3 of many",
        "namespace": "shop",
        "count": 3,
        "none": None,
    }


def test_a_json_line_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks, control characters, and an exception with its traceback."""
    logs.set_up(level="info", log_format="json")

    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception('a "quoted"\nmessage \x1b[0m \u2028', extra={"path": "/a\n/b"})

    (line,) = json_lines(capsys)
    assert line["message"] == 'a "quoted"\nmessage \x1b[0m \u2028'
    assert line["path"] == "/a\n/b"
    assert "ValueError: first\nsecond" in line["exc_info"]


def test_text_that_is_no_unicode_is_logged_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An API server's message may have half a surrogate pair; the line must not be lost for it."""
    logs.set_up(level="info", log_format="json")

    log.info("half: \ud800", extra={"reason": "half: \udfff"})

    (line,) = json_lines(capsys)
    assert line["message"].startswith("half: ")
    assert line["reason"].startswith("half: ")


@pytest.mark.parametrize("log_format", logs.FORMATS)
@pytest.mark.parametrize("level", logs.LEVELS)
def test_what_is_below_the_level_is_not_logged(
    log_format: str, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(level=level, log_format=log_format)

    for name in logs.LEVELS:
        log.log(getattr(logging, name.upper()), "a line")

    shown = len(capsys.readouterr().err.splitlines())
    assert shown == len(logs.LEVELS) - logs.LEVELS.index(level)


def test_a_line_for_people_has_its_fields_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that say something: an empty one and none are left out, nought is not."""
    logs.set_up(level="info", log_format="text")

    log.info(
        "Listed %s", "all", extra={"namespace": "", "position": None, "count": 0, "reason": "start"}
    )

    (line,) = capsys.readouterr().err.splitlines()
    time, level, rest = line.split(maxsplit=2)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time)
    assert level == "INFO"
    assert rest == "Listed all  count=0  reason=start"


def test_a_line_for_people_shows_an_exception_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level="info", log_format="text")

    try:
        raise ValueError("it")
    except ValueError:
        log.exception("Failed", extra={"reason": "bug"})

    first, *others = capsys.readouterr().err.splitlines()
    assert first.endswith("Failed  reason=bug")
    assert others[-1] == "ValueError: it"


def test_setting_up_again_replaces_what_was(capsys: pytest.CaptureFixture[str]) -> None:
    """No line comes twice."""
    logs.set_up(level="info", log_format="text")
    logs.set_up(level="info", log_format="json")

    log.info("once")

    assert [line["message"] for line in json_lines(capsys)] == ["once"]


def test_urllib3_does_not_repeat_what_is_told_already(capsys: pytest.CaptureFixture[str]) -> None:
    """At `debug` it would show each request with its query; at `warning` each retry."""
    logs.set_up(level="debug", log_format="json")

    logging.getLogger("urllib3.connectionpool").debug("GET /api/v1/events?continue=token")
    logging.getLogger("urllib3.connectionpool").warning("Connection pool is full")

    assert json_lines(capsys) == []
