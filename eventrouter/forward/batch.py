"""A batch: records on their way together, and the positions that they complete. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Fluent Bit reads a frame anew from its start with each piece that arrives: 64 to 256 KiB are best
# (plugins/in_forward/fw_conn.c).
MAX_RECORDS = 500
MAX_BYTES = 256 * 1024


class Position(NamedTuple):
    """A resourceVersion that has been reached, and the history that it belongs to.

    `history` counts how often the API server's history had gone back before this position was
    reached. The same resourceVersion names another state in each history.
    """

    resource_version: str
    history: int = 0


# By namespace ("" for the whole cluster): all events up to the position are in this batch or in an
# earlier one.
Positions = dict[str, Position]


class Batch:
    """Records of all tags, in order within each, and the positions that count once all are acked.

    A batch is cut across tags. One frame for each tag goes out, and no position moves on the ack
    of one tag's frame while another's, with older states, still waits.
    """

    __slots__ = ("entries", "positions", "records", "size")

    def __init__(self) -> None:
        self.entries: dict[str, list[bytes]] = {}
        self.records = 0
        self.size = 0
        self.positions: Positions = {}

    def add(self, kind: str, entry: bytes) -> None:
        """Append one packed entry. `kind` is the last part of its tag."""
        entries = self.entries.get(kind)
        if entries is None:
            self.entries[kind] = [entry]
        else:
            entries.append(entry)
        self.records += 1
        self.size += len(entry)

    @property
    def is_full(self) -> bool:
        """Whether it is time to send it."""
        return self.records >= MAX_RECORDS or self.size >= MAX_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither a record nor a position."""
        return not self.records and not self.positions

    def takes(self, other: Batch) -> bool:
        """Whether the other's records still fit."""
        return not self.records or (
            self.records + other.records <= MAX_RECORDS and self.size + other.size <= MAX_BYTES
        )

    def merge(self, other: Batch) -> None:
        """Append all that came after."""
        for kind, entries in other.entries.items():
            self.entries.setdefault(kind, []).extend(entries)
        self.records += other.records
        self.size += other.size
        self.positions |= other.positions

    def kinds(self) -> dict[str, int]:
        """How many records of each kind."""
        return {kind: len(entries) for kind, entries in self.entries.items()}

    def frames(self) -> Iterator[tuple[str, list[bytes]]]:
        """What to send: for each kind its entries, in pieces of about MAX_BYTES at most.

        An entry as large as that is a frame of its own.
        """
        if self.records <= MAX_RECORDS and self.size <= MAX_BYTES:
            yield from self.entries.items()
            return
        for kind, entries in self.entries.items():
            yield from ((kind, piece) for piece in _pieces(entries))


def _pieces(entries: list[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for entry in entries:
        if piece and (size + len(entry) > MAX_BYTES or len(piece) == MAX_RECORDS):
            yield piece
            piece, size = [], 0
        piece.append(entry)
        size += len(entry)
    yield piece
