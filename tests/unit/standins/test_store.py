from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from eventrouter.standins.apiserver.store import (
    VERSION_MARK,
    Compacted,
    Conflict,
    EventStore,
    NotReached,
)
from tests.support.events import event_to_write


def names(page):
    return [json.loads(item)["metadata"]["name"] for item in page.items]


def test_a_new_event_gets_what_the_api_server_gives_it():
    store = EventStore(revision=1000, now=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    stored = store.create({"metadata": {"name": "bare"}, "reason": "Started", "junk": 1})

    assert list(stored) == [
        *("metadata", "involvedObject", "reason", "source", "firstTimestamp", "lastTimestamp"),
        *("eventTime", "reportingComponent", "reportingInstance"),
    ]
    metadata = stored["metadata"]
    assert len(metadata["uid"]) == 36
    assert metadata["namespace"] == "default"
    assert metadata["resourceVersion"] == "1001"
    assert metadata["creationTimestamp"] == "2026-03-01T12:00:00Z"
    assert stored["eventTime"] is None
    assert stored["source"] == {}


def test_managed_fields_name_their_writer_and_hold_the_series_key_that_elasticsearch_refuses():
    series = {"count": 2, "lastObservedTime": "2026-03-01T12:00:00.000001Z"}
    event = event_to_write(
        eventTime="2026-03-01T11:59:00.000001Z",
        series=series,
        reportingComponent="default-scheduler",
    )

    (entry,) = EventStore().create(event)["metadata"]["managedFields"]

    assert entry["manager"] == "kube-scheduler"
    assert entry["apiVersion"] == "events.k8s.io/v1"
    assert entry["fieldsV1"]["f:series"] == {".": {}, "f:count": {}, "f:lastObservedTime": {}}
    assert "f:note" in entry["fieldsV1"]


def test_every_write_has_a_revision_of_its_own_and_keeps_the_uid(store):
    created = store.create(event_to_write())
    updated = store.update("shop", "api-1.17f3", {"count": 2, "series": None})

    assert updated["metadata"]["resourceVersion"] == "1002"
    assert updated["metadata"]["uid"] == created["metadata"]["uid"]
    assert updated["count"] == 2
    assert store.revision == 1002
    with pytest.raises(Conflict):
        store.create(event_to_write())
    with pytest.raises(Conflict):
        store.update("shop", "unknown", {})
    with pytest.raises(Conflict):
        store.expire([("shop", "api-1.17f3"), ("shop", "unknown")])
    assert (len(store), store.revision) == (1, 1002)


def test_events_that_share_a_lease_expire_at_one_revision(store):
    store.create(event_to_write("a"))
    store.create(event_to_write("b"))
    watch = store.watch(store.revision)

    store.expire([("shop", "a"), ("shop", "b")])

    changes = watch.take(timeout=5)
    assert [(change.type, change.revision) for change in changes] == [("DELETED", 1003)] * 2
    gone = json.loads(changes[0].item)
    assert gone["metadata"]["resourceVersion"] == "1003"
    assert gone["reason"] == "Unhealthy"
    assert len(store) == 0


def test_a_list_at_an_old_revision_shows_what_was_there_then(store):
    store.create(event_to_write("a"))
    store.create(event_to_write("b"))
    store.update("shop", "a", {"count": 2})
    store.delete("shop", "b")
    store.create(event_to_write("c"))

    assert names(store.page(revision=1001)) == ["a"]
    assert names(store.page(revision=1003)) == ["a", "b"]
    assert names(store.page(revision=1004)) == ["a"]
    assert names(store.page()) == ["a", "c"]
    assert json.loads(store.page(revision=1002).items[0])["count"] == 1
    with pytest.raises(NotReached):
        store.page(revision=1006)


def test_keys_are_in_the_order_of_their_text_as_in_etcd(store):
    for namespace in ("shop", "shop-eu", "billing"):
        store.create(event_to_write(f"in-{namespace}", namespace=namespace))

    assert names(store.page()) == ["in-billing", "in-shop-eu", "in-shop"]  # "-" comes before "/"
    assert names(store.page(namespace="shop")) == ["in-shop"]


def test_compaction_forgets_history_but_not_the_present(store):
    store.create(event_to_write("a"))
    store.create(event_to_write("b"))
    store.update("shop", "a", {"count": 2})
    store.delete("shop", "b")
    store.update("shop", "a", {"count": 3})

    store.compact(1004)

    with pytest.raises(Compacted):
        store.page(revision=1003)
    with pytest.raises(Compacted):
        store.watch(1002)
    assert json.loads(store.page(revision=1004).items[0])["count"] == 2
    assert [change.revision for change in store.watch(1004).take(timeout=5)] == [1005]
    store.compact()
    assert json.loads(store.page().items[0])["count"] == 3
    store.delete("shop", "a")
    store.compact()
    assert store.page().items == []


def test_an_open_watch_loses_nothing_to_a_compaction(store):
    watch = store.watch(1000)
    store.create(event_to_write("a"))
    store.create(event_to_write("b"))

    store.compact()

    assert [change.key for change in watch.take(timeout=5)] == ["shop/a", "shop/b"]


def test_a_restored_store_forgets_later_states_and_counts_from_there(store):
    store.create(event_to_write("a"))
    store.update("shop", "a", {"count": 2})
    store.create(event_to_write("b"))
    watch = store.watch(1003)

    store.restore(1001)

    assert store.revision == 1001
    assert names(store.page()) == ["a"]
    store.update("shop", "a", {"count": 7})
    store.create(event_to_write("c"))
    assert [change.revision for change in store.watch(1001).take(timeout=5)] == [1002, 1003]
    store.create(event_to_write("d"))
    # Silent until the counter has passed where it was, and then it has missed two writes.
    assert [change.key for change in watch.take(timeout=5)] == ["shop/d"]


def test_raw_objects_are_stored_byte_for_byte(store):
    raw = b'{"metadata":{"name":"odd","resourceVersion":"%b"},"message":"\\ud800"}' % VERSION_MARK
    nested: object = "deep"
    for _ in range(40):
        nested = {"in": nested}

    store.put_raw("shop", "odd", raw)
    store.put_raw("shop", "no-uid", {"metadata": {"name": "no-uid"}, "message": "\ud800"})
    store.put_raw("shop", "deep", {"metadata": {"name": "deep"}, "extra": nested})
    store.put_raw("shop", "large", {"metadata": {"name": "large"}, "message": "x" * 5_000_000})

    deep, large, no_uid, odd = store.page().items
    assert odd == raw.replace(VERSION_MARK, b"1001")
    assert no_uid == b'{"metadata":{"name":"no-uid"},"message":"\\ud800"}'
    assert deep.count(b'{"in":') == 40
    assert len(large) > 5_000_000


def test_revisions_pass_with_other_resources_writes(store):
    store.skip(41)

    assert store.create(event_to_write())["metadata"]["resourceVersion"] == "1042"


def test_writers_in_many_threads_get_different_revisions(store):
    def write(number):
        for count in range(50):
            store.create(event_to_write(f"{number}-{count}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    changes = store.watch(1000).take(timeout=5)
    assert [change.revision for change in changes] == list(range(1001, 1201))
