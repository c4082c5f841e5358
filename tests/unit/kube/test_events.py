"""The body of a watch: pieces coalesced while more is there, and cut into lines."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.errors import ApiError
from eventrouter.kube import events
from eventrouter.kube.events import KubeEvents, coalesced, lines_of
from eventrouter.ops.metrics import Metrics


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" ") + b"\n")),
    cut_off=st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" ")),
    cuts=st.lists(st.integers(min_value=0, max_value=10_000)),
    answers=st.lists(st.booleans()),
)
def test_lines_are_the_same_however_the_body_is_split_and_coalesced(
    lines: list[bytes], cut_off: bytes, cuts: list[int], answers: list[bool]
) -> None:
    body = b"".join(lines) + cut_off
    readiness = iter(answers)
    pieces = coalesced(
        split(body, cuts),
        is_more_there=lambda: next(readiness, False),
        on_arrival=lambda: None,
        rest=lambda: next(readiness, False),
    )

    assert [line for some in lines_of(pieces) for line in some] == lines


def test_pieces_are_gathered_while_more_is_there_but_not_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_COALESCED_BYTES", 10)
    arrivals: list[None] = []

    sizes = [
        len(piece)
        for piece in coalesced(
            [b"abc\n"] * 5,
            is_more_there=lambda: True,
            on_arrival=lambda: arrivals.append(None),
            rest=lambda: pytest.fail("there is more"),
        )
    ]

    assert sizes == [12, 8]
    assert len(arrivals) == 1  # the end of a body is no arrival


def pausing(
    pieces: list[bytes], *, is_more_after_a_pause: bool
) -> tuple[Iterator[bytes], list[None]]:
    """The pieces gathered where nothing more is there before a pause; and the pauses so far."""
    pauses: list[None] = []

    def pause() -> bool:
        pauses.append(None)
        return is_more_after_a_pause

    gathering = coalesced(
        iter(pieces), is_more_there=lambda: False, on_arrival=lambda: None, rest=pause
    )
    return gathering, pauses


def test_what_comes_during_one_pause_is_gathered_too() -> None:
    pieces = [b"one\n", b"two\n", b"three\n"]
    gathering, pauses = pausing(pieces, is_more_after_a_pause=True)

    assert next(gathering) == b"one\ntwo\n"
    assert len(pauses) == 1
    assert next(gathering) == b"three\n"


def test_a_line_that_comes_in_pieces_is_gathered_before_any_pause() -> None:
    """Else the first piece would be a round of its own, and the event late by a rest."""
    gathering, pauses = pausing([b"", b"on", b"e\n", b"two\n"], is_more_after_a_pause=False)

    assert next(gathering) == b"one\n"
    assert len(pauses) == 1
    assert next(gathering) == b"two\n"
    assert len(pauses) == 2


def test_what_came_before_an_error_is_given_before_the_error() -> None:
    """Else a link that breaks after each event would bring none of them, ever."""

    def breaking() -> Iterator[bytes]:
        yield b"one\n"
        yield b"two\nthr"
        raise urllib3.exceptions.ProtocolError("cut")

    pieces = coalesced(
        breaking(), is_more_there=lambda: True, on_arrival=lambda: None, rest=lambda: False
    )
    stream = lines_of(pieces)

    assert next(stream) == [b"one\n", b"two\n"]
    with pytest.raises(urllib3.exceptions.ProtocolError):
        next(stream)


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_BYTES", 100)

    with pytest.raises(ApiError, match="without end"):
        list(lines_of(iter([b"x" * 60] * 3)))


class SilentApi:
    """Answers a watch and then says nothing."""

    def __init__(self) -> None:
        self.answered = lambda: None

    @contextmanager
    def request(self, *_: object, **__: object) -> Iterator[urllib3.BaseHTTPResponse]:
        here, there = socket.socketpair()
        with here, there, here.makefile("rb") as body:
            yield urllib3.HTTPResponse(body, preload_content=False)


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_tls_raises_where_the_stop_comes_while_it_reads_is_no_failure(
    is_closed: bool, metrics: Metrics
) -> None:
    """Python's ssl raises a ValueError then; any other one is a failure of ours."""
    source = KubeEvents(api=SilentApi(), field_selector="", metrics=metrics)  # type: ignore[arg-type]
    expected = ApiError if is_closed else ValueError

    def read() -> None:
        with source.watch("", resource_version="1", timeout_seconds=1):
            if is_closed:
                source.close()
            raise ValueError("Read on closed or unwrapped SSL socket.")

    with pytest.raises(expected, match="stopping" if is_closed else "closed"):
        read()
