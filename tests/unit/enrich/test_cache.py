"""What is known of objects: bounded in bytes, and kept when the object is gone."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from eventrouter.enrich.cache import Cache, Entry, Owner

OWNER = Owner("ReplicaSet", "apps/v1", "api", "uid-1")


def found(labels: bytes = b"labels", **fields: object) -> Entry:
    return Entry(state="found", labels=labels, owner=OWNER, **fields)  # type: ignore[arg-type]


def test_what_was_put_is_there() -> None:
    cache = Cache(10_000)
    cache.put("a", found())

    assert cache.get("a") == found()
    assert cache.get("b") is None


def test_an_object_that_is_gone_keeps_what_was_known_of_it() -> None:
    cache = Cache(10_000)
    cache.put("a", found(expires=1.0))
    cache.put("a", Entry(state="gone", expires=9.0))

    assert cache.get("a") == found(expires=9.0)


def test_an_object_of_which_nothing_is_known_is_remembered_as_gone() -> None:
    cache = Cache(10_000)
    cache.put("a", Entry(state="gone"))

    assert cache.get("a") == Entry(state="gone")


def test_the_node_stays_when_the_rest_is_found() -> None:
    cache = Cache(10_000)
    cache.learn_node("a", "worker-1")
    cache.put("a", found())
    cache.learn_node("a", "worker-12")

    assert cache.get("a") == found(node="worker-12")


def test_the_least_recently_used_make_room() -> None:
    cache = Cache(3 * (found().size_bytes + 1))
    for key in "abc":
        cache.put(key, found())
    cache.get("a")
    cache.put("d", found())

    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_an_entry_that_is_too_large_leaves_the_others() -> None:
    cache = Cache(5000)
    cache.put("a", found())
    cache.put("b", found(labels=bytes(5000)))

    assert cache.get("a")
    assert cache.get("b") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "gone", "node"]),
            st.sampled_from("abcdefgh"),
            st.integers(0, 900),
        )
    )
)
def test_the_bytes_add_up_and_stay_within_the_bound(steps: list[tuple[str, str, int]]) -> None:
    cache = Cache(4000)
    for step, key, size in steps:
        if step == "put":
            cache.put(key, found(bytes(size)))
        elif step == "gone":
            cache.put(key, Entry(state="gone"))
        else:
            cache.learn_node(key, "n" * (size // 10))

    assert cache.size_bytes == sum(
        len(key) + entry.size_bytes for key in "abcdefgh" if (entry := cache.get(key))
    )
    assert cache.size_bytes <= 4000 + 90


def test_a_full_cache_takes_about_the_memory_that_it_counts() -> None:
    """Beyond the bound, three times as many entries take no more."""
    bound = 2 * 2**20
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = Cache(bound)
        sizes = []
        for number in range(12_000):
            labels = b"%0200d" % number  # each has its own, as texts from an answer have
            owner = Owner("ReplicaSet", "apps/v1", f"api-{number}", f"{number:036}")
            entry = Entry("found", labels, owner=owner, expires=float(number))
            cache.put(f"{number:060}", entry)
            if number % 4000 == 3999:
                sizes.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()

    assert len(cache) < 4000
    assert max(sizes) < 1.1 * bound
    assert min(sizes) > 0.5 * bound
    assert max(sizes) - min(sizes) < 0.1 * bound
