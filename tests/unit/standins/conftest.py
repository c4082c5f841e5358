"""What tests of the stand-ins share: a store, its API server with a client, a receiver."""

from __future__ import annotations

import pytest

from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.store import EventStore
from eventrouter.standins.receiver.receiver import Receiver
from tests.unit.standins.client import connected


@pytest.fixture
def store():
    return EventStore()


@pytest.fixture
def server(store):
    with ApiServer(store) as server:
        yield server


@pytest.fixture
def client(server):
    with connected(server) as client:
        yield client


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver
