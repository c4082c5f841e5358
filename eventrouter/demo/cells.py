"""Fit text into the cells of a terminal: escape what could control it, cut at a width. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_ELLIPSIS = "…"
# Control characters, format characters (they reorder or hide text), lone surrogates, and the
# separators of lines and paragraphs.
_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_COMBINING = frozenset(("Mn", "Me"))
_JOINERS = "\u200c\u200d"  # format characters that Persian, Indic scripts and emoji need
# A character before this one becomes an emoji: two cells in most terminals, one in the others.
_EMOJI_PRESENTATION = "\ufe0f"


def escape(text: str) -> str:
    """`text` with each character that a terminal may obey written as an escape, like `\\x1b`."""
    return "".join(piece for piece, _ in _measured(text))


def fit(text: str, cells: int) -> str:
    """`text`, escaped and cut or padded to exactly so many cells. An ellipsis marks a cut."""
    if cells < 1:
        return ""
    kept: list[tuple[str, int]] = []
    used = 0
    for piece, size in _measured(text):
        kept.append((piece, size))
        used += size
        if used > cells:
            break
    else:
        return "".join(piece for piece, _ in kept) + " " * (cells - used)
    while used > cells - 1:  # the ellipsis takes a cell
        used -= kept.pop()[1]
    return "".join(piece for piece, _ in kept) + _ELLIPSIS + " " * (cells - 1 - used)


def _measured(text: str) -> Iterator[tuple[str, int]]:
    """Each character as it is shown, with its cells: where terminals differ, the most."""
    for character in text:
        if character.isascii() and character.isprintable():
            yield character, 1
            continue
        category = unicodedata.category(character)
        if character == _EMOJI_PRESENTATION:
            yield character, 1
        elif category in _COMBINING or character in _JOINERS:
            yield character, 0
        elif category in _ESCAPED:
            shown = character.encode("unicode_escape", "surrogatepass").decode("ascii")
            yield from ((part, 1) for part in shown)
        elif category == "Cn":  # assigned by a newer Unicode than Python's: perhaps an emoji
            yield character, 2
        else:
            yield character, 2 if unicodedata.east_asian_width(character) in "WF" else 1
