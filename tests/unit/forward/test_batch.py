"""A batch: every entry exactly once and in order by tag, in frames of a bounded size."""

from __future__ import annotations

from collections import defaultdict
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventrouter.forward.batch import MAX_BYTES, MAX_RECORDS, Batch, Position

tag_suffixes = st.sampled_from(["normal", "warning", "other"])
sizes = st.sampled_from([1, 1, 100, 4000, MAX_BYTES // 3, MAX_BYTES // 2, MAX_BYTES, MAX_BYTES + 1])
# Runs of entries: a tag suffix, how many in a row, and the size of each.
runs = st.lists(
    st.tuples(tag_suffixes, st.sampled_from([1, 2, 260]), st.just(9))
    | st.tuples(tag_suffixes, st.integers(1, 3), sizes),
    max_size=8,
)


def fill(batch: Batch, content: list[tuple[str, int, int]]) -> dict[str, list[bytes]]:
    """Add entries that can be told apart; returned by tag suffix, in order."""
    added: dict[str, list[bytes]] = defaultdict(list)
    serial = count()
    for tag_suffix, repetitions, size in content:
        for _ in range(repetitions):
            entry = next(serial).to_bytes(4, "big").ljust(size, b"-")[-max(size, 4) :]
            batch.add(tag_suffix, entry)
            added[tag_suffix].append(entry)
    return added


def framed(batch: Batch) -> dict[str, list[bytes]]:
    result: dict[str, list[bytes]] = defaultdict(list)
    for tag_suffix, entries in batch.chunks():
        result[tag_suffix] += entries
    return result


@given(runs)
@example([("normal", MAX_RECORDS, 9)])
@example([("normal", MAX_RECORDS + 1, 9)])
@example([("normal", 2, MAX_BYTES // 2)])
@example([("normal", 1, MAX_BYTES + 1), ("normal", 1, 9), ("normal", 1, MAX_BYTES)])
def test_the_frames_hold_every_entry_once_and_in_order_by_tag(
    content: list[tuple[str, int, int]],
) -> None:
    batch = Batch()

    added = fill(batch, content)

    assert framed(batch) == added
    assert batch.records == sum(map(len, added.values()))
    assert batch.size_bytes == sum(len(entry) for entries in added.values() for entry in entries)
    assert batch.counts() == {tag_suffix: len(entries) for tag_suffix, entries in added.items()}


@given(runs)
def test_no_frame_is_over_the_limits_but_a_single_entry(
    content: list[tuple[str, int, int]],
) -> None:
    batch = Batch()
    fill(batch, content)

    for _, entries in batch.chunks():
        assert 1 <= len(entries) <= MAX_RECORDS
        assert len(entries) == 1 or sum(map(len, entries)) <= MAX_BYTES


@given(runs)
@example([("normal", 4, MAX_BYTES // 2)])
@example([("normal", 2 * MAX_RECORDS, 9)])
def test_no_two_frames_could_have_been_one(content: list[tuple[str, int, int]]) -> None:
    """Each frame costs an ack: an entry goes into the one before it where it fits."""
    batch = Batch()
    fill(batch, content)

    last: dict[str, list[bytes]] = {}
    for tag_suffix, entries in batch.chunks():
        before = last.get(tag_suffix)
        if before is not None:
            is_full = len(before) == MAX_RECORDS
            assert is_full or sum(map(len, before)) + len(entries[0]) > MAX_BYTES
        last[tag_suffix] = entries


@given(runs, runs)
def test_merged_batches_are_as_if_all_had_been_added_to_one(
    first: list[tuple[str, int, int]], second: list[tuple[str, int, int]]
) -> None:
    left, right = Batch(), Batch()
    expected = fill(left, first)
    for tag_suffix, entries in fill(right, second).items():
        expected[tag_suffix] += entries
    left.positions = {"": Position("1"), "shop": Position("5")}
    right.positions = {"": Position("2"), "bank": Position("9")}

    left.merge(right)

    assert framed(left) == expected
    assert left.records == sum(map(len, expected.values()))
    assert left.size_bytes == sum(len(entry) for entries in expected.values() for entry in entries)
    assert left.counts() == {tag_suffix: len(entries) for tag_suffix, entries in expected.items()}
    assert left.positions == {"": Position("2"), "shop": Position("5"), "bank": Position("9")}


@given(runs, runs)
@example([("normal", MAX_RECORDS - 1, 9)], [("normal", 1, 9)])
@example([("normal", MAX_RECORDS, 9)], [("normal", 1, 9)])
@example([("normal", 1, MAX_BYTES // 2)], [("normal", 1, MAX_BYTES // 2)])
@example([("normal", 1, MAX_BYTES)], [("normal", 1, 4)])
@example([("normal", 1, 9)], [("normal", 1, MAX_BYTES)])
@example([], [("normal", 1, MAX_BYTES + 1)])
def test_it_takes_another_as_long_as_both_are_within_the_limits(
    first: list[tuple[str, int, int]], second: list[tuple[str, int, int]]
) -> None:
    left, right = Batch(), Batch()
    fill(left, first)
    fill(right, second)

    takes = left.takes(right)
    left.merge(right)

    within = left.records <= MAX_RECORDS and left.size_bytes <= MAX_BYTES
    assert takes == (within or left.records == right.records)


@pytest.mark.parametrize(
    ("entries", "size", "expected"),
    [
        (MAX_RECORDS - 1, 9, False),
        (MAX_RECORDS, 9, True),
        (1, MAX_BYTES - 1, False),
        (1, MAX_BYTES, True),
    ],
)
def test_it_is_full_at_either_limit(entries: int, size: int, expected: bool) -> None:
    batch = Batch()
    fill(batch, [("normal", entries, size)])

    assert batch.is_full is expected


def test_an_empty_one_is_not_worth_sending() -> None:
    assert Batch().is_empty


def test_a_position_alone_makes_it_worth_sending() -> None:
    """Deletions and bookmarks have no record and still move the position."""
    batch = Batch()

    batch.positions[""] = Position("7")

    assert not batch.is_empty
    assert list(batch.chunks()) == []


def test_a_record_alone_makes_it_worth_sending() -> None:
    batch = Batch()

    batch.add("normal", b"entry")

    assert not batch.is_empty
