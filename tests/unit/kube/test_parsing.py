"""JSON off the wire: what it means where it can be read, BadLine where it cannot, nothing else."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import to_builtins

from eventrouter.errors import ApiError, BadLine
from eventrouter.kube.parsing import (
    Added,
    Reached,
    Updated,
    WatchItem,
    parse_object,
    parse_page,
    watch_events,
)
from eventrouter.kube.schema import Event, UntypedEvent
from tests.support.events import make_event
from tests.support.processes import run_script
from tests.support.values import containers_of, integers, texts

finite_numbers = st.floats(allow_nan=False, allow_infinity=False)
objects = st.dictionaries(
    texts,
    containers_of(st.none() | st.booleans() | integers | finite_numbers | texts),
    max_size=3,
)


def raw(event: Event) -> dict[str, Any]:
    """All that was read of an object that is no Event by its types."""
    assert isinstance(event, UntypedEvent)
    return event.raw


def item_of(line: bytes) -> WatchItem:
    """The one item that is read from this line."""
    (item,) = watch_events([line])
    return item


def line_of(type_: str, content: Any, **options: Any) -> bytes:
    return json.dumps({"type": type_, "object": content}, **options).encode()


# --- the lines of a watch


@given(st.sampled_from(["ADDED", "MODIFIED"]), objects)
def test_a_change_is_read_whatever_its_object_holds(type_: str, content: Any) -> None:
    """Lone surrogates too, which strict parsers refuse."""
    item = item_of(line_of(type_, content))

    assert isinstance(item, Added if type_ == "ADDED" else Updated)
    assert repr(raw(item.event)) == repr(json.loads(json.dumps(content)))


def test_real_text_is_read_as_it_is() -> None:
    event = make_event(message="Zurück: 😀 \u2028 \x00", without=("managedFields",))

    item = item_of(line_of("ADDED", event, ensure_ascii=False))

    assert isinstance(item, Added)
    assert (type(item.event), to_builtins(item.event)) == (Event, event)


def test_bytes_that_are_no_utf_8_damage_only_their_own_text() -> None:
    event = make_event(message="MARK")

    item = item_of(line_of("ADDED", event).replace(b"MARK", b"x\xffy"))

    assert isinstance(item, Added)
    assert raw(item.event) == event | {"message": "x\ufffdy"}


def test_deletions_in_a_row_are_one_position_and_none_before_a_change() -> None:
    """Half of all lines are deletions, and a change after them has got further."""
    deleted = [
        line_of("DELETED", make_event({"resourceVersion": str(version)}), separators=(",", ":"))
        for version in (11, 12, 13)
    ]
    added = line_of("ADDED", make_event({"resourceVersion": "14"}))

    assert list(watch_events(deleted)) == [Reached("13")]
    assert [type(item) for item in watch_events([*deleted, added])] == [Added]
    assert [type(item) for item in watch_events([*deleted, b"cut"])] == [Reached, BadLine]


def test_a_bookmark_and_what_later_versions_may_send_is_a_position() -> None:
    metadata = {"metadata": {"resourceVersion": "40"}}

    assert item_of(line_of("BOOKMARK", metadata)) == Reached("40")
    assert item_of(line_of("UNHEARD OF", metadata)) == Reached("40")
    assert list(watch_events([line_of("BOOKMARK", {})])) == []


@pytest.mark.parametrize("blank", [b"\n", b" \r\n"])
def test_a_blank_line_is_nothing(blank: bytes) -> None:
    assert list(watch_events([blank])) == []


def test_an_error_line_is_an_error_and_what_comes_after_it_is_read_too() -> None:
    """It is for the caller to stop there."""
    failed = line_of("ERROR", {"kind": "Status", "code": 500, "message": "etcd is away"})
    added = line_of("ADDED", make_event())

    error, item = watch_events([failed, added])

    assert isinstance(error, ApiError)
    assert (error.reason, error.status) == ("watch_error", 500)
    assert isinstance(item, Added)


# --- pages


def page_of(*items: Any, **metadata: Any) -> bytes:
    page = {"kind": "EventList", "metadata": {"resourceVersion": "40"} | metadata, "items": items}
    return json.dumps(page).encode()


def test_a_page_gives_its_events_its_revision_and_where_it_goes_on() -> None:
    page = parse_page(
        page_of(make_event({"uid": "a"}), make_event({"uid": "b"}), **{"continue": "t"})
    )

    assert [event.metadata.uid for event in page.items] == ["a", "b"]
    assert (page.resource_version, page.continue_token) == ("40", "t")


def test_a_page_knows_how_many_events_and_bytes_it_is() -> None:
    body = page_of(make_event(), 5, make_event(message="\ud800"))

    page = parse_page(body)

    assert (page.events, page.body_bytes) == (3, len(body))


@pytest.mark.parametrize("rest", [{}, {"continue": ""}, {"continue": None}], ids=repr)
def test_the_last_page_goes_on_nowhere(rest: dict[str, Any]) -> None:
    assert parse_page(page_of(**rest)).continue_token is None


def test_a_list_of_nothing_has_no_events() -> None:
    """Go writes an empty slice as null where nobody has made one."""
    page = parse_page(b'{"metadata":{"resourceVersion":"40"},"items":null}')

    assert list(page.items) == []


@pytest.mark.parametrize("text", ["x", "\ud800", "MARK"], ids=["plain", "surrogate", "no UTF-8"])
def test_one_odd_event_leaves_the_others_of_its_page_as_they_are(text: str) -> None:
    body = page_of(make_event(extra=text), 5, make_event({"uid": "b"}), None)

    odd, plain = parse_page(body.replace(b"MARK", b"\xff")).items

    assert raw(odd)["extra"] in (text, "\ufffd")
    assert plain.metadata.uid == "b"


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"metadata":{"resourceVersion":"x"},"items":[]}',
        b'{"metadata":{"resourceVersion":""},"items":[]}',
        b'{"metadata":{"resourceVersion":"40"},"items":5}',
        b'{"metadata":[],"items":[]}',
        b'{"kind":"Status","metadata":{}}',
        b'{"metadata":"\\ud800","items":[]}',
        b'{"metadata":{"resourceVersion":"40","\\ud800":1},"items":5}',
    ],
)
def test_an_answer_that_is_no_list_says_so(body: bytes) -> None:
    with pytest.raises(ApiError, match="no list of events") as caught:
        parse_page(body)

    assert caught.value.reason == "bad_list"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\xff", id="no text"),
        pytest.param(b'{"type":"ADDED","object":{"metadata":{"na', id="cut off"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(b'{"type":"ADDED"}', id="no object"),
        pytest.param(b'{"object":{}}', id="no type"),
        pytest.param(b'{"type":"ADDED","object":[]}', id="a list as object"),
        pytest.param(b'{"type":5,"object":{}}', id="a number as type"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"type":"ADDED","object":{"a":' + b"9" * 5000 + b"}}", id="too many digits"),
    ],
)
def test_a_line_that_is_no_watch_event_is_bad(line: bytes) -> None:
    error = item_of(line)

    assert isinstance(error, BadLine)
    assert error.reason == "bad_line"
    assert len(str(error)) < 500
    assert "\n" not in str(error)


@given(st.binary(max_size=60))
@example(b'{"type":"ADDED","object":{}}\xff')
def test_no_bytes_raise_anything_but_an_api_error(line: bytes) -> None:
    list(watch_events([line]))
    for parse in (parse_object, lambda body: list(parse_page(body).items)):
        try:
            parse(line)
        except ApiError:
            pass


@given(objects)
def test_an_answer_that_is_an_object_is_read(content: Any) -> None:
    expected = repr(json.loads(json.dumps(content)))

    assert repr(parse_object(json.dumps(content).encode())) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"<html>", b"5"])
def test_an_answer_that_is_no_object_is_bad(body: bytes) -> None:
    with pytest.raises(BadLine):
        parse_object(body)


@pytest.mark.parametrize("depth", [600, 9_996, 100_000])
def test_an_event_of_any_depth_is_read_and_takes_nothing_along(depth: int) -> None:
    """Anybody who may write an event can nest its managed fields as deep as the API server reads:
    neither a list nor a watch may stop there.
    """
    deep = b'{"f:\\"[":' * depth + b"[1]" + b"}" * depth
    managed = b'"managedFields":[{"fieldsV1":%b}]' % deep
    odd = b'{"metadata":{"name":"odd","uid":"u","resourceVersion":"7",%b}}' % managed
    plain = json.dumps(make_event()).encode()
    body = b'{"metadata":{"resourceVersion":"9"},"items":[%b,%b]}' % (odd, plain)

    names = [event.metadata.name for event in parse_page(body).items]
    item = item_of(b'{"type":"ADDED","object":%b}\n' % odd)

    assert names == ["odd", make_event()["metadata"]["name"]]
    assert isinstance(item, Added)
    assert item.event.metadata.name == "odd"


# In MiB. `ru_maxrss` has also what the process that started this one had.
PEAK = """
def peak():
    with open('/proc/self/status') as status:
        (line,) = (line for line in status if line.startswith('VmHWM:'))
    return int(line.split()[1]) // 1024
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts from the program's start")
def test_a_deep_event_with_a_million_escapes_takes_little_more_than_its_size() -> None:
    """Go writes each < as an escape. The watcher has 128 MiB, and would meet the event again."""
    script = (
        "from eventrouter.kube.parsing import Added, watch_events\n"
        "deep = b'{\"a\":' * 2_000 + b'1' + b'}' * 2_000\n"
        "text = b'\\\\u003c' * 1_400_000\n"
        'line = b\'{"type":"ADDED","object":{"message":"%b","odd":%b}}\' % (text, deep)\n'
        "before = peak()\n"
        "(item,) = watch_events([line])\n"
        "assert isinstance(item, Added), item\n"
        "print(peak() - before)\n"
    )
    ended = run_script(PEAK + script)

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 60


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts from the program's start")
@pytest.mark.parametrize("how", ["page", "watch"])
def test_a_deep_event_leaves_the_managed_fields_beside_it_unread(how: str) -> None:
    """Read as objects they take 25 times their size, and the watcher would meet them again."""
    script = (
        "import sys\n"
        "from eventrouter.kube.parsing import Added, parse_page, watch_events\n"
        "def item(name, fields):\n"
        "    managed = b'[{\"fieldsV1\":{%b}}]' % b','.join(fields)\n"
        '    metadata = b\'{"name":"%b","uid":"u","resourceVersion":"7",\'\n'
        '    return b\'{"metadata":%b"managedFields":%b}}\' % (metadata % name, managed)\n'
        "def chain(depth):\n"
        "    return b'{\"f:a\":' * depth + b'{}' + b'}' * depth\n"
        "wide = [b'\"f:%05d\":%b' % (number, chain(480)) for number in range(320)]\n"
        "deep = b'\"f:deep\":' + chain(9_990)\n"
        "large = item(b'large', wide + [deep] * (sys.argv[1] == 'watch'))\n"
        "items = b','.join([large, large, large, item(b'deep', [deep])])\n"
        'page = b\'{"metadata":{"resourceVersion":"9"},"items":[%b]}\' % items\n'
        'line = b\'{"type":"ADDED","object":%b}\\n\' % large\n'
        "before = peak()\n"
        "if sys.argv[1] == 'page':\n"
        "    names = [event.metadata.name for event in parse_page(page).items]\n"
        "    assert names == ['large'] * 3 + ['deep'], names\n"
        "else:\n"
        "    (added,) = watch_events([line])\n"
        "    assert isinstance(added, Added), added\n"
        "print(peak() - before)\n"
    )
    ended = run_script(PEAK + script, how)

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 40


@pytest.mark.parametrize("end", [b"", b"\\"])
def test_a_line_that_is_cut_in_a_text_of_escapes_is_looked_at_once(end: bytes) -> None:
    """Looked at anew from each of them, it would take minutes."""
    line = b'{"type":"ADDED","object":{"message":"' + b'\\"' * 500_000 + end

    assert isinstance(item_of(line), BadLine)
