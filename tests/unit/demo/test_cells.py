"""Text in a terminal's cells: nothing in it controls the terminal, and it is as wide as asked."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.demo.cells import escape, fit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("two\nlines\r\n\tand a tab", r"two\nlines\r\n\tand a tab"),
        ("\x9b31m \x7f", r"\x9b31m \x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028 \u2029", r"\u2028 \u2029"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("na\u00efve, na\u200dme", "na\u00efve, na\u200dme"),
    ],
    ids=["CSI and OSC", "lines", "C1", "bidi", "separators", "surrogate", "tag", "letters"],
)
def test_what_a_terminal_may_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("Pulled", 8, "Pulled  "),
        ("Pulled", 6, "Pulled"),
        ("Pulled", 5, "Pull…"),
        ("Pulled", 1, "…"),
        ("Pulled", 0, ""),
        ("Pulled", -1, ""),
        ("", 2, "  "),
        ("日本語", 7, "日本語 "),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("\u2764\ufe0f!", 3, "\u2764\ufe0f!"),
        ("a\x1b[1m", 4, r"a\x…"),
    ],
)
def test_text_is_cut_or_padded_to_its_cells(text: str, cells: int, shown: str) -> None:
    assert fit(text, cells) == shown


@given(st.text(), st.integers(0, 40))
def test_whatever_the_text_it_takes_no_more_cells_and_controls_nothing(
    text: str, cells: int
) -> None:
    shown = fit(text, cells)

    assert sum(_least_cells(character) for character in shown) <= cells
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]


def _least_cells(character: str) -> int:
    """By Unicode alone: East Asian wide characters take two, combining marks none."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
