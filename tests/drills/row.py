"""The line that a drill adds to the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    drill: str
    written: int  # states that the API server accepted
    held: int  # of these, in Elasticsearch
    forgotten: int  # of these, what the API server itself no longer had: no client can have it
    lost: int
    twice: int  # in two indices, or never written
    wrong: int
    seconds: float  # from the end of the last fault until all was there that was written by then
    note: str = ""

    @staticmethod
    def head() -> str:
        return (
            f"{'drill':<58} {'written':>8} {'held':>8} {'forgotten':>9} {'lost':>6} {'twice':>6}"
            f" {'wrong':>6} {'recovery':>9}"
        )

    def __str__(self) -> str:
        return (
            f"{self.drill:<58} {self.written:>8} {self.held:>8} {self.forgotten:>9} {self.lost:>6}"
            f" {self.twice:>6} {self.wrong:>6} {self.seconds:>7.1f} s  {self.note}"
        )
