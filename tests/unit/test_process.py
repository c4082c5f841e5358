"""What commands have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import orjson
import pytest

from eventrouter.lister import PAGE_SIZE
from eventrouter.parsing import parse_object
from eventrouter.process import collect_garbage_seldom
from tests.unit.material import make_event


@pytest.fixture
def collector() -> Iterator[None]:
    """Python's own settings for the test, whatever ran before it."""
    thresholds = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*thresholds)


def collections_while_reading(page: bytes) -> int:
    gc.collect()
    before: int = gc.get_stats()[0]["collections"]
    parse_object(page)
    after: int = gc.get_stats()[0]["collections"]
    return after - before


@pytest.mark.usefixtures("collector")
def test_a_page_of_a_list_is_not_looked_through_for_garbage() -> None:
    page = orjson.dumps({"items": [make_event() for _ in range(PAGE_SIZE)]})
    assert collections_while_reading(page) > 0

    collect_garbage_seldom()

    assert collections_while_reading(page) == 0
