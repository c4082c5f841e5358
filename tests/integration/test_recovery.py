"""The reflector when the API server fails, forgets, or lies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from eventrouter.capture import reflector, watches
from eventrouter.forward.batch import Position
from eventrouter.kube import credentials, events
from eventrouter.standins.apiserver import listing
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.server import ApiServer
from tests.integration.cluster import Cluster, check
from tests.integration.follower import Follower
from tests.support.events import state_id
from tests.support.waiting import eventually

Expiry = Literal["status", "line", "empty"]


def on_request(
    server: ApiServer, matches: Callable[[Request], object], action: Callable[[], object]
) -> None:
    """Do this right before the next request that matches is answered."""
    strike = server.faults.strike
    is_done = threading.Lock()

    def strike_after(request: Request) -> None:
        if matches(request) and is_done.acquire(blocking=False):
            action()
        strike(request)

    server.faults.strike = strike_after  # type: ignore[method-assign]


def _errors(follower: Follower, kind: str) -> int:
    return follower.count("errors", stage="receiving", error_type=kind)


# ---- history that is gone ------------------------------------------------------------------------


def test_a_compacted_position_is_made_good_from_the_oldest_revision_held(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Bisect, list exactly there, ship only what is newer, and watch from there."""
    names = cluster.fill(400)
    position = cluster.revision
    for name in names[:100]:
        cluster.update(name)  # lost, except where it is the state at the oldest revision
    for name in names[:50]:
        cluster.update(name)
    cluster.store.skip(100_000)
    oldest = cluster.revision
    cluster.store.compact(oldest)
    for name in names[40:120]:
        cluster.update(name)
    cluster.store.skip(3000)
    expected = (cluster.shown(oldest) & cluster.ids(after=position)) | cluster.ids(after=oldest)
    with Follower(server, kubeconfig, resume_at=str(position)) as follower:
        follower.wait_for_ids(expected)
        server.wait_for_watches(1)
        cluster.update(names[0])
        cluster.create()
        expected |= cluster.ids(after=oldest)
        follower.wait_for_ids(expected)

    assert sorted(follower.ids) == sorted(expected)
    check(follower.records, cluster, gap=oldest)
    exact = [r for r in server.requests if r.type == "list" and "resourceVersion" in r.query]
    assert {request.query["resourceVersion"] for request in exact} == {str(oldest)}
    watch = server.wait_for_requests(1, type="watch")[0]
    assert watch.query["resourceVersion"] == str(oldest)
    assert sum(request.type == "probe" for request in server.requests) <= 20


def test_a_gap_without_any_history_left_is_made_good_from_the_present(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """All compacted up to now: what exists and is newer is all that anyone can have."""
    names = cluster.fill(10)
    position = cluster.revision
    cluster.update(names[3])
    cluster.update(names[3])
    cluster.create()
    cluster.store.compact()
    expected = cluster.shown() & cluster.ids(after=position)
    with Follower(server, kubeconfig, resume_at=str(position)) as follower:
        follower.wait_for_ids(expected)
        follower.wait_for_position(cluster.revision)

    assert sorted(follower.ids) == sorted(expected)
    assert {record["verb"] for record in follower.records} == {"ADDED", "UPDATED"}
    check(follower.records, cluster, gap=cluster.revision)


@pytest.mark.parametrize("has_news", [False, True])
def test_a_compaction_is_a_warning_only_where_events_have_changed(
    has_news: bool,
    cluster: Cluster,
    server: ApiServer,
    kubeconfig: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where nothing happens for minutes, each compaction passes the position."""
    (name,) = cluster.fill(1)
    position = cluster.revision
    if has_news:
        cluster.update(name)
    cluster.store.skip(100)
    cluster.store.compact()
    with caplog.at_level(logging.INFO), Follower(server, kubeconfig, resume_at=str(position)):
        server.wait_for_watches(1)

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage().partition(":")[0] for record in warnings] == [
        "Events have changed since the position"
    ] * has_news
    assert "no longer has the changes" in caplog.text


@pytest.mark.parametrize("form", ["status", "line", "empty"])
def test_a_410_in_any_form_loses_nothing_and_repeats_nothing(
    form: Expiry, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The history is still there: the next watch goes on from the same position."""
    name = cluster.create()
    listed = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        server.faults.expire_watches(form)
        server.faults.close_watches()
        server.wait_for_requests(2, type="watch")
        cluster.update(name)
        cluster.create()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=listed)


@pytest.mark.parametrize("form", ["status", "line", "empty"])
def test_a_410_in_any_form_after_a_compaction_ships_what_is_newer(
    form: Expiry, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Written and compacted while the server was away: the newest states arrive, nothing twice."""
    names = cluster.fill(5)
    listed = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        server.faults.refuse()
        cluster.update(names[0])
        cluster.create()
        oldest = cluster.revision
        cluster.store.compact()
        cluster.update(names[0])
        server.faults.expire_watches(form)
        server.faults.listen()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=listed, gap=oldest)


@pytest.mark.parametrize("form", ["status", "line", "empty"])
def test_watches_that_end_at_once_for_a_while_lose_nothing(
    form: Expiry, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The probe says that the position is held: the watch that works shows each state since."""
    name = cluster.create()
    listed = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        server.faults.refuse()
        for _ in range(3):
            cluster.update(name)
        server.faults.expire_watches(form, times=8)
        server.faults.listen()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=listed)
    assert len(follower.stop.waits) >= 8
    assert follower.count("relist", reason="unwatchable") == 0


@pytest.mark.parametrize("form", ["status", "line", "empty"])
def test_a_position_from_which_no_watch_works_for_minutes_is_given_up_for_the_newest(
    form: Expiry,
    cluster: Cluster,
    server: ApiServer,
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The probe still answers 200. The loss is counted, and the log says what happened."""
    monkeypatch.setattr(watches, "GIVE_UP_SECONDS", 0.2)
    name = cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        server.faults.expire_watches(form, times=60)
        server.faults.close_watches()
        cluster.update(name)
        cluster.update(name)
        gap = cluster.revision
        follower.wait_for(lambda: cluster.shown() <= {*follower.ids})
        server.wait_for_watches(1)
        cluster.update(name)
        follower.wait_for(lambda: cluster.shown() <= {*follower.ids})

    check(follower.records, cluster, listed=cluster.shown(at=1001), gap=gap)
    assert follower.count("relist", reason="unwatchable") >= 1
    assert follower.count("relist", reason="expired") == 0
    assert "ended at once, though the API server still holds it" in caplog.text
    assert "no longer has" not in caplog.text


def test_a_410_in_the_middle_of_an_exact_list_begins_it_again(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The oldest revision is compacted while it is listed: bisect again, lose nothing left."""
    names = cluster.fill(600)
    position = cluster.revision
    for name in names[:30]:
        cluster.update(name)
    cluster.create(name="a-new-one")  # on the first page, so it is listed twice
    cluster.store.compact()
    for name in names[500:520]:
        cluster.update(name)

    def compact() -> None:
        cluster.update(names[10])
        cluster.store.compact()

    on_request(server, lambda request: "continue" in request.query, compact)
    with Follower(server, kubeconfig, resume_at=str(position)) as follower:
        expected = cluster.shown() & cluster.ids(after=position)
        follower.wait_for_ids(expected)
        follower.wait_for(lambda: cluster.shown() & cluster.ids(after=position) <= {*follower.ids})
        follower.wait_for_position(cluster.revision)

    check(follower.records, cluster, gap=cluster.revision)
    assert follower.count("list", result="expired") >= 2


def test_an_expired_page_of_a_first_list_loses_nothing_and_guesses_no_old_state(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The later pages are of a newer revision, so the watch shows some of their states again."""
    names = cluster.fill(600)

    def change_and_compact() -> None:
        cluster.update(names[1])
        cluster.update(names[550])
        cluster.update(names[550])
        cluster.create()
        cluster.store.compact(cluster.revision - 3)

    begin = cluster.revision
    on_request(server, lambda request: "continue" in request.query, change_and_compact)
    with Follower(server, kubeconfig) as follower:
        follower.wait_for(lambda: cluster.shown() <= {*follower.ids})
        follower.wait_for_position(cluster.revision)
        cluster.update(names[550])
        follower.wait_for(lambda: cluster.shown() <= {*follower.ids})

    states = {state.id: state for state in cluster.states}
    for record in follower.records:
        state = states[record["id"]]
        assert record["event"] == state.event
        if "old_event" in record:
            assert record["old_event"] == state.old_event, (record["id"], begin)
    assert cluster.ids(after=begin) <= {*follower.ids}


def test_a_history_that_went_back_is_listed_anew(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """504: the server was restored. Its numbers begin again, so everything is taken again."""
    cluster.fill(3)
    restored = cluster.revision
    kept = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        lost = cluster.create(name="lost")
        follower.wait_for_ids(cluster.ids())
        cluster.store.restore(restored)
        server.faults.close_watches()
        follower.wait_for(lambda: len(follower.records) == 7)
        again = follower.records[4:]
        follower.wait_for(lambda: follower.position == str(restored))
        server.wait_for_watches(1)
        cluster.create(name="new")
        follower.wait_for(lambda: len(follower.records) == 8)

    assert {record["id"] for record in again} == kept
    assert {record["verb"] for record in again} == {"ADDED"}
    assert follower.records[7]["event"]["metadata"]["name"] == "new"
    assert lost not in {record["event"]["metadata"]["name"] for record in follower.records[4:]}
    assert "went back" in caplog.text


def _undo_and_pass_by(cluster: Cluster, *, restored: int, name: str, times: int) -> set[str]:
    """Restore etcd, then write so many states; their ids."""
    cluster.store.restore(restored)
    ids = set()
    for _ in range(times):
        ids.add(state_id(cluster.store.update("default", name, {"count": 7})))
    return ids


def test_every_state_of_the_history_after_one_that_went_back_is_sent(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The oldest revision that is held is listed, not the newest: states in between count too. The
    positions that follow are told from those of the history that was undone."""
    name, *_ = cluster.fill(3)
    restored = cluster.revision
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.fill(9)
        follower.wait_for_position(cluster.revision)
        assert follower.positions[""] == Position(str(cluster.revision), 0)
        server.faults.refuse()
        ids = _undo_and_pass_by(cluster, restored=restored, name=name, times=4)
        server.faults.listen()
        follower.wait_for_ids(ids)
        follower.wait_for(lambda: follower.position == str(restored + 4))

        assert follower.histories == [1]
        assert follower.positions[""] == Position(str(restored + 4), 1)

        server.faults.refuse()
        ids = _undo_and_pass_by(cluster, restored=restored, name=name, times=2)
        server.faults.listen()
        follower.wait_for_ids(ids)
        follower.wait_for(lambda: follower.positions[""] == Position(str(restored + 2), 2))

    assert follower.histories == [1, 2]
    assert follower.count("relist", reason="went_back") == 2
    assert follower.count("relist", reason="start") == 1


@pytest.mark.parametrize("begin", ["1", "999999"], ids=["lost", "undone"])
def test_a_first_list_without_a_place_of_its_own_begins_at_the_oldest_revision_held(
    begin: str, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """After a lost checkpoint, or one of an undone history: every state since then is sent."""
    name, *_ = cluster.fill(30)
    cluster.store.compact()
    oldest = cluster.revision
    for _ in range(5):
        cluster.update(name)
    expected = cluster.shown(at=oldest) | cluster.ids(after=oldest)
    with Follower(server, kubeconfig, list_at=begin) as follower:
        follower.wait_for_ids(expected)
        follower.wait_for_position(cluster.revision)

    assert sorted(follower.ids) == sorted(expected)
    check(follower.records, cluster, listed=cluster.shown(at=oldest))
    assert follower.lists_begun == [str(oldest)]


def test_a_first_list_that_failed_begins_again_where_it_began(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """What changed in between would else be seen in its last state alone."""
    names = cluster.fill(300)
    begin = cluster.revision

    def change_and_fail() -> None:
        for _ in range(3):
            cluster.update(names[280])
        server.faults.answer(500, to="list", times=5)

    on_request(server, lambda request: "continue" in request.query, change_and_fail)
    with Follower(server, kubeconfig) as follower:
        follower.wait_for_ids(cluster.shown(at=begin) | cluster.ids(after=begin))

    assert follower.lists_begun == [str(begin)] * 2
    check(follower.records, cluster, listed=cluster.shown(at=begin))


def test_a_checkpoint_ahead_of_the_server_is_listed_anew(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The same at a start: a position that the server has never reached."""
    cluster.fill(3)
    with Follower(server, kubeconfig, resume_at="999999") as follower:
        follower.wait_for_ids(cluster.ids())
        follower.wait_for(lambda: follower.position == str(cluster.revision))

    assert sorted(follower.ids) == sorted(cluster.ids())


# ---- refusals and failures -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["list", "probe", "watch"])
def test_retry_after_is_obeyed(
    kind: Literal["list", "probe", "watch"], cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """429 says how long to wait; no shorter wait will do."""
    name = cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        follower.stop.waits.clear()
        server.faults.answer(429, to=kind, times=2, headers={"Retry-After": "7"})
        if kind == "list":
            follower.close()
            follower = Follower(server, kubeconfig).start()
        server.faults.close_watches()
        follower.wait_for(lambda: len([w for w in follower.stop.waits if w >= 7]) == 2)
        cluster.update(name)
        follower.wait_for(lambda: cluster.shown() <= {*follower.ids})
        follower.close()

    assert follower.count("errors", stage="receiving", error_type="throttled") == 2


@pytest.mark.parametrize("status", [500, 503, 504])
def test_server_errors_are_waited_out_longer_each_time_and_the_position_is_kept(
    status: int, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """No tight loop, no list, and the watch goes on where it was."""
    name = cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.update(name)
        follower.wait_for_ids(cluster.ids())
        asked = len(server.requests)
        follower.stop.waits.clear()
        server.faults.answer(status, times=5)
        server.faults.close_watches()
        server.wait_for_requests(2, type="watch")
        waits = list(follower.stop.waits)
        cluster.update(name)
        follower.wait_for_ids(cluster.ids())

    assert waits == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8])
    types = [request.type for request in server.requests[asked:]]
    assert types == ["probe"] * 6 + ["watch"]
    assert sorted(follower.ids) == sorted(cluster.ids())


def test_a_server_that_is_gone_is_tried_again_and_logged_once(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused connections: waits that grow, one line at the beginning and one at the end."""
    name = cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            server.faults.refuse()
            follower.wait_for(lambda: len(follower.stop.waits) >= 6)
            cluster.update(name)
            server.faults.listen()
            follower.wait_for_ids(cluster.ids())

    assert follower.stop.waits[1:6] == sorted(follower.stop.waits[1:6])
    assert min(follower.stop.waits) >= 0.4
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert 1 <= len(told) <= 2, [record.getMessage() for record in told]  # cut off, then refused
    assert server.url in told[-1].getMessage()
    assert "answers again" in caplog.text
    assert sorted(follower.ids) == sorted(cluster.ids())


def test_a_refusal_in_the_middle_of_a_first_list_does_not_begin_it_again(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """One page that fails is asked for again, not all the pages before it."""
    cluster.fill(600)
    on_request(
        server,
        lambda request: "continue" in request.query,
        lambda: server.faults.answer(503, to="list", times=2),
    )
    with Follower(server, kubeconfig) as follower:
        follower.wait_for_position(cluster.revision)

    assert sorted(follower.ids) == sorted(cluster.ids())
    assert sum(request.type == "list" for request in server.requests) == 5 + 2


@pytest.mark.parametrize("after_bytes", [0, 1, 5, 300, 1023, 5000, 9000])
def test_a_line_that_is_cut_by_a_reset_comes_again_whole(
    after_bytes: int, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """Nothing is lost and nothing comes twice, wherever the cut falls."""
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.fill(3)
        follower.wait_for_ids(cluster.ids())
        server.faults.cut_watches(after_bytes=after_bytes)
        names = cluster.fill(20)
        server.wait_for_requests(2, type="watch")
        cluster.update(names[4])
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster)


def test_a_good_while_of_watching_makes_the_next_wait_a_short_one(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """A watch that brought events and is then reset is no sixth failure in a row."""
    name = cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.update(name)
        follower.wait_for_ids(cluster.ids())
        server.faults.answer(503, times=5)
        server.faults.close_watches()
        server.wait_for_requests(2, type="watch")
        server.wait_for_watches(1)
        cluster.update(name)
        follower.wait_for_ids(cluster.ids())
        waited = len(follower.stop.waits)
        server.faults.cut_watches()
        follower.wait_for(lambda: len(follower.stop.waits) > waited)

        assert follower.stop.waits[waited] == pytest.approx(0.8)


# ---- lines that are none -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ADDED","object":{"kind":"Event","meta\n',
        b"\xff\xfe\x00\n",
        b"[]\n",
        b'{"type":"ADDED","object":null}\n',
        b'{"type":7,"object":{}}\n',
        b"[" * 100_000 + b"\n",
    ],
    ids=["cut", "binary", "list", "no object", "odd type", "deep"],
)
def test_a_line_damaged_on_its_way_costs_one_reconnect(
    line: bytes, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """At the second try it is right, and nothing is discarded."""
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.create()
        server.faults.inject(line)
        server.wait_for_requests(2, type="watch")
        cluster.create()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    assert _errors(follower, "bad_line") == 1
    assert follower.metrics.total(follower.metrics.discarded) == 0


def test_a_line_that_is_bad_at_its_source_is_skipped_and_counted(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """It holds up nothing, and the sums still add up."""
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.create()
        cluster.store.put_raw("default", "bad", b'{"metadata":{"name":"bad" !}')
        cluster.create()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    assert follower.count("events_discarded", reason="bad_line") == 1
    assert follower.metrics.total(follower.metrics.received) == 3


@pytest.mark.parametrize("code", [400, 403, 429, 500, 503])
def test_an_error_line_of_another_code_is_waited_out(
    code: int, cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """The watch begins again at its position; what stood before the line is not lost."""
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.create()
        server.faults.inject_error(code)
        watches = server.wait_for_requests(2, type="watch")
        cluster.create()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    assert _errors(follower, "watch_error") == 1
    assert int(watches[1].query["resourceVersion"]) == cluster.revision - 1


# ---- links and rights ----------------------------------------------------------------------------


def test_a_link_that_has_gone_silent_is_given_up(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open, and not a byte: found by the read timeout, a little after the watch's own end."""
    monkeypatch.setattr(reflector, "WATCH_SECONDS", 1)
    monkeypatch.setattr(events, "_WATCH_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(events, "_LIST_SECONDS", 0.5)
    cluster.create()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        server.faults.go_silent()
        cluster.create()
        eventually(lambda: _errors(follower, "timeout"), what="the timeout noticed")
        server.faults.wake()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())


def test_a_watch_names_its_own_end_with_some_spread(
    cluster: Cluster, server: ApiServer, kubeconfig: Path
) -> None:
    """90 seconds, so that a link that died is found soon; bookmarks are welcome."""
    with Follower(server, kubeconfig):
        watch = server.wait_for_requests(1, type="watch")[0]

    assert watch.query["timeoutSeconds"] == "90"
    assert watch.query["allowWatchBookmarks"] == "true"


def test_a_rotated_token_is_read_again(
    cluster: Cluster, server: ApiServer, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401: the kubeconfig has the new one, so that no wait is needed and nothing is lost."""
    monkeypatch.setattr(credentials, "PAUSE_SECONDS", 0.0)
    server.tokens = {"old"}
    server.write_kubeconfig(kubeconfig, token="old")
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.create()
        follower.wait_for_ids(cluster.ids())
        server.tokens = {"new"}
        server.write_kubeconfig(kubeconfig, token="new")
        server.faults.close_watches()
        server.wait_for_requests(2, type="watch")
        cluster.create()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    assert follower.stop.waits == []


def test_a_token_that_stays_refused_is_tried_until_it_is_right(
    cluster: Cluster,
    server: ApiServer,
    kubeconfig: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each try reads the kubeconfig anew, and even a broken one in between ends nothing."""
    monkeypatch.setattr(credentials, "PAUSE_SECONDS", 0.0)
    server.tokens = {"right"}
    server.write_kubeconfig(kubeconfig, token="wrong")
    cluster.create()
    with Follower(server, kubeconfig) as follower:
        follower.wait_for(lambda: len(follower.stop.waits) >= 3)
        kubeconfig.write_text("half a ki")
        eventually(lambda: _errors(follower, "credentials"))
        server.write_kubeconfig(kubeconfig, token="right")
        follower.wait_for_ids(cluster.ids())

    assert _errors(follower, "unauthorized") >= 3
    assert caplog.text.count("401") == 1


@pytest.mark.parametrize("verbs", [("list", "watch"), ("watch",), ("list",)], ids="-".join)
def test_rights_taken_away_and_given_back_lose_nothing(
    verbs: tuple[str, ...],
    cluster: Cluster,
    server: ApiServer,
    kubeconfig: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """403: one clear line, waits, and on from the position when the rights are back."""
    name = cluster.create()
    listed = cluster.ids()
    with Follower(server, kubeconfig) as follower:
        server.wait_for_watches(1)
        cluster.update(name)
        follower.wait_for_ids(cluster.ids())
        caplog.clear()
        server.denied = set(verbs)
        server.faults.close_watches()
        follower.wait_for(lambda: len(follower.stop.waits) >= 6)
        cluster.update(name)
        server.denied = set()
        follower.wait_for_ids(cluster.ids())

    assert sorted(follower.ids) == sorted(cluster.ids())
    check(follower.records, cluster, listed=listed)
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(told) == 1
    assert "403" in told[0]
    assert "cannot" in told[0]
    assert follower.stop.waits == sorted(follower.stop.waits)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'"text"',
        b"<html>log in first</html>",
        b'{"metadata":{}}',
        b'{"metadata":"x","items":[]}',
        b'{"metadata":["x"],"items":[]}',
        b'{"metadata":{"resourceVersion":"7"},"items":7}',
        b'{"metadata":{"resourceVersion":7},"items":[]}',
        b'{"metadata":{"resourceVersion":"7"},"items":[1,null,"x"]}',
    ],
)
def test_an_answer_that_is_no_list_is_tried_again(
    body: bytes,
    cluster: Cluster,
    server: ApiServer,
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy's login page, or whatever else answers 200, must not end the watcher."""
    answers = [body]

    def list_events(store: object, request: Request) -> bytes:
        return answers.pop() if answers else listing.list_events(cluster.store, request)

    monkeypatch.setattr("eventrouter.standins.apiserver.server.list_events", list_events)
    cluster.create()
    with Follower(server, kubeconfig) as follower:
        follower.wait_for(lambda: not answers)
        server.faults.close_watches()
        if body.endswith(b'"x"]}'):
            return  # a list all the same, of which nothing can be shipped
        follower.wait_for_ids(cluster.ids())
