"""Ports on loopback."""

from __future__ import annotations

import os
import random
import socket

# Below Linux' range for outgoing connections (32768 up): a port of ours stays ours while its
# program is down, since no connection of another program can be given it in the meantime.
# Two workers of pytest-xdist have ports of their own: what is free may be another's that is down.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS = range(20_000 + _WORKER % _WORKERS, 32_000, _WORKERS)
_taken: set[int] = set()


def free_port() -> int:
    """A loopback port that nothing listens on, never given out twice by this run."""
    while True:
        port = random.choice(_PORTS)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port


def accepts(port: int) -> bool:
    """Whether something on loopback takes connections on this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
