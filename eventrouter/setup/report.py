"""What setup says: a line for each object."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one object. If it is not good, something is left to do."""

    word: str
    object: str
    text: str
    is_good: bool

    def __str__(self) -> str:
        return f"{self.word:<10} {self.object}: {self.text}"
