"""A plain client of the events API."""

from __future__ import annotations

import http.client
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import orjson

from tests.support.waiting import DEADLINE

EVENTS = "/api/v1/events"


class Client:
    """One connection, kept alive between requests."""

    def __init__(self, url, *, headers=None):
        target = urlsplit(url)
        self.connection = http.client.HTTPConnection(target.hostname, target.port, timeout=DEADLINE)
        self.headers = headers or {}

    def request(self, path=EVENTS, *, method="GET", headers=None, **query):
        target = f"{path}?{urlencode(query)}" if query else path
        self.connection.request(method, target, headers={**self.headers, **(headers or {})})
        return self.connection.getresponse()

    def get(self, path=EVENTS, **query):
        """The status and the parsed body."""
        response = self.request(path, **query)
        return response.status, orjson.loads(response.read())

    def names(self, **query):
        """The names of a list of events that must succeed, and its metadata."""
        status, body = self.get(**query)
        assert status == 200, body
        return [item["metadata"]["name"] for item in body["items"]], body["metadata"]

    def watch(self, path=EVENTS, **query):
        """The response of a watch, to be read by `line`."""
        return self.request(path, watch="1", **query)


def line(response):
    """The next line of a watch, parsed; None at its end."""
    data = response.readline()
    return orjson.loads(data) if data else None


@contextmanager
def connected(server, **options):
    client = Client(server.url, **options)
    try:
        yield client
    finally:
        client.connection.close()
