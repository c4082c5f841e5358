"""A trouble is logged when it begins and when it is over, however often it is reported."""

from __future__ import annotations

import logging

import pytest

from eventrouter.ops.trouble import MAX_MESSAGES, Trouble

log = logging.getLogger("eventrouter.test")


@pytest.fixture
def trouble(caplog: pytest.LogCaptureFixture) -> Trouble:
    caplog.set_level(logging.INFO)
    return Trouble(log, over="The link is back", link="tcp://here")


def test_the_same_message_is_logged_once_until_the_trouble_is_over(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        trouble.report("no ack")
    trouble.end()
    trouble.report("no ack")

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "no ack"),
        ("INFO", "The link is back"),
        ("ERROR", "no ack"),
    ]


def test_two_messages_by_turns_are_logged_once_each(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    """A paused Fluent Bit closes connections and leaves others unanswered."""
    for _ in range(3):
        trouble.report("closed")
        trouble.report("no ack")

    assert [record.getMessage() for record in caplog.records] == ["closed", "no ack"]


def test_messages_that_are_new_each_time_do_not_fill_the_log(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        trouble.report(f"too large: {number}")

    assert len(caplog.records) == MAX_MESSAGES


def test_an_end_without_a_trouble_is_not_logged(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.end()

    assert not trouble.is_on
    assert not caplog.records


def test_every_line_has_the_fields_of_the_trouble_and_an_error_its_own(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.report("100 % gone", reason="io")
    trouble.end()

    fields = [(vars(record)["link"], vars(record).get("reason")) for record in caplog.records]
    assert fields == [("tcp://here", "io"), ("tcp://here", None)]
