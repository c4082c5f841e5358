"""A batch: records that are sent together, and the positions that they complete. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# Fluent Bit parses a chunk anew from its start with each piece that arrives: 64 to 256 KiB are best
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

    A batch is cut across tags: it is sent as one chunk for each tag, and its positions wait for the
    acks of all of them. Another tag's chunk may hold older states.
    """

    __slots__ = ("entries", "positions", "records", "size_bytes")

    def __init__(self) -> None:
        self.entries: dict[str, list[bytes]] = {}
        self.records = 0
        self.size_bytes = 0
        self.positions: Positions = {}

    def add(self, tag_suffix: str, entry: bytes) -> None:
        """Append one packed entry. `tag_suffix` is the last part of its tag."""
        entries = self.entries.get(tag_suffix)
        if entries is None:
            self.entries[tag_suffix] = [entry]
        else:
            entries.append(entry)
        self.records += 1
        self.size_bytes += len(entry)

    @property
    def is_full(self) -> bool:
        """Whether it is time to send it."""
        return self.records >= MAX_RECORDS or self.size_bytes >= MAX_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither a record nor a position."""
        return not self.records and not self.positions

    def takes(self, other: Batch) -> bool:
        """Whether the other's records still fit."""
        return not self.records or (
            self.records + other.records <= MAX_RECORDS
            and self.size_bytes + other.size_bytes <= MAX_BYTES
        )

    def merge(self, other: Batch) -> None:
        """Append all that came after."""
        for tag_suffix, entries in other.entries.items():
            self.entries.setdefault(tag_suffix, []).extend(entries)
        self.records += other.records
        self.size_bytes += other.size_bytes
        self.positions |= other.positions

    def counts(self) -> dict[str, int]:
        """The number of records by tag suffix."""
        return {tag_suffix: len(entries) for tag_suffix, entries in self.entries.items()}

    def chunks(self) -> Iterator[tuple[str, list[bytes]]]:
        """The tag suffix and the entries of each chunk to send, of about MAX_BYTES at most.

        An entry larger than that is a chunk of its own.
        """
        if self.records <= MAX_RECORDS and self.size_bytes <= MAX_BYTES:
            yield from self.entries.items()
            return
        for tag_suffix, entries in self.entries.items():
            yield from ((tag_suffix, piece) for piece in _pieces(entries))


def _pieces(entries: list[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size_bytes = 0
    for entry in entries:
        if piece and (size_bytes + len(entry) > MAX_BYTES or len(piece) == MAX_RECORDS):
            yield piece
            piece, size_bytes = [], 0
        piece.append(entry)
        size_bytes += len(entry)
    yield piece
