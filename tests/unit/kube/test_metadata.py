"""The metadata of an object, whatever somebody put into it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3

from eventrouter.errors import BadLine
from eventrouter.kube.metadata import KubeMetadata


class FakeApi:
    """Answers every request with this body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @contextmanager
    def request(self, *_: object, **__: object) -> Iterator[urllib3.BaseHTTPResponse]:
        yield urllib3.HTTPResponse(io.BytesIO(self._body), preload_content=False)


def test_metadata_too_deep_to_be_read_is_a_bad_answer_and_no_failure() -> None:
    """The API server keeps managed fields of any depth up to 10,000."""
    deep = b'{"f:a":' * 100_000 + b"{}" + b"}" * 100_000
    body = b'{"metadata":{"uid":"u","managedFields":[{"fieldsV1":%b}]}}' % deep

    with pytest.raises(BadLine, match="recursion depth"):
        KubeMetadata(api=FakeApi(body)).get("/api/v1/namespaces/shop/pods/api-1")  # type: ignore[arg-type]
