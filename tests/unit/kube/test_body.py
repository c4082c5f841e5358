"""The body of a watch as it is read from the connection, and HTTP's chunks undone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from eventrouter.kube import body as body_module
from eventrouter.kube.body import Body, Dechunker
from tests.support.waiting import DEADLINE

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(contents: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(content), content) for content in contents)


@given(
    contents=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_chunks_are_undone_however_they_arrive(contents: list[bytes], cuts: list[int]) -> None:
    data = chunked(contents) + b"0\r\n\r\n"
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = Dechunker()

    content = b"".join(chunks.feed(data[begin:end]) for begin, end in pairwise(edges))

    assert content == b"".join(contents)
    assert chunks.is_over


def test_what_follows_the_length_of_a_chunk_is_nothing_to_us() -> None:
    assert Dechunker().feed(b"3;name=value\r\nabc\r\n") == b"abc"


@pytest.mark.parametrize("head", [b"xyz\r\n", b"-1\r\n", b"\r\n", b"1" * 5000])
def test_what_is_no_chunk_is_an_error_and_no_content(head: bytes) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        Dechunker().feed(head)


@contextmanager
def answering(
    now: Callable[[], float] = time.monotonic, *, head: bytes = HEAD
) -> Iterator[tuple[socket.socket, Body]]:
    """A server's end of a connection, and the body that arrives at the other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends: list[socket.socket] = []

        def accept() -> None:
            end, _ = server.accept()
            end.recv(65536)
            end.sendall(head)
            ends.append(end)

        thread = threading.Thread(target=accept)
        thread.start()
        response = urllib3.PoolManager().request(
            "GET",
            f"http://127.0.0.1:{server.getsockname()[1]}/",
            preload_content=False,
            timeout=DEADLINE,
        )
        thread.join()
        with ends[0], Body(response, now=now) as body:
            yield ends[0], body
        response.close()


def test_a_body_is_read_to_its_end_and_no_further() -> None:
    with answering() as (server, body):
        server.sendall(chunked([b"one\n", b"two\n"]) + b"0\r\n\r\n")

        assert b"".join(body.pieces()) == b"one\ntwo\n"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_body_without_chunks_is_read_as_it_arrives(head: bytes) -> None:
    with answering(head=head) as (server, body):
        pieces = body.pieces()
        for line in (b"one\n", b"two\n"):
            server.sendall(line)
            assert next(pieces) == line
        server.shutdown(socket.SHUT_WR)
        assert list(pieces) == []


def test_a_body_that_is_cut_off_is_an_error() -> None:
    with answering() as (server, body):
        server.sendall(chunked([b"one\n"]) + b"9\r\nhal")
        server.shutdown(socket.SHUT_WR)
        pieces = body.pieces()

        assert next(pieces) == b"one\nhal"
        with pytest.raises(urllib3.exceptions.ProtocolError, match="prematurely"):
            next(pieces)


def test_what_comes_after_a_while_of_silence_is_taken_at_once() -> None:
    """A lone event waits for nothing."""
    seconds = iter([100.0, 100.0, 100.0 + body_module.REST_SECONDS, 200.0])
    with answering(now=lambda: next(seconds)) as (server, body):
        server.sendall(b"x")  # more is there, and still it does not look

        assert not body.rest()
        assert not body.rest()


def test_a_rest_soon_after_the_last_one_takes_its_time_and_sees_what_came() -> None:
    with answering() as (server, body):
        began = time.monotonic()
        body.rest()
        server.sendall(b"x")

        assert body.rest()
        assert time.monotonic() - began >= 0.99 * body_module.REST_SECONDS


def test_a_rest_that_nothing_came_in_takes_its_time_and_says_so() -> None:
    with answering() as (_, body):
        began = time.monotonic()
        body.rest()

        assert not body.rest()
        assert time.monotonic() - began >= 0.99 * body_module.REST_SECONDS


def test_a_rest_is_over_when_much_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "REST_SECONDS", 60.0)
    with answering() as (server, body):
        body.rest()
        resting = threading.Thread(target=body.rest)
        resting.start()
        server.sendall(b"x")
        resting.join(0.1)
        assert resting.is_alive()

        server.sendall(bytes(2 * body_module._REST_BYTES))

        resting.join(10)
        assert not resting.is_alive()


def test_a_rest_is_over_at_the_end_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "REST_SECONDS", 60.0)
    with answering() as (server, body):
        body.rest()
        resting = threading.Thread(target=body.rest)
        resting.start()
        server.shutdown(socket.SHUT_WR)
        resting.join(10)
        assert not resting.is_alive()
