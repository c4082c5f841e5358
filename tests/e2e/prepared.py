"""`eventrouter setup` on a real server that has no ILM and no ISM: that part is played.

And what `eventrouter check` says of it.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from eventrouter.clock import Stop, SystemClock
from eventrouter.setup.command import main
from eventrouter.setup.inspection import inspect
from eventrouter.setup.mapping import Server
from eventrouter.setup.objects import Parameters
from eventrouter.setup.sinks import Sink
from eventrouter.setup.target import Login
from tests.programs import Elasticsearch
from tests.support.searchserver import SearchServer

POLICY, TEMPLATE = "/_ilm/policy/kube-events", "/_index_template/kube-events"


class Setup:
    """Runs the command through the front that plays the policies."""

    def __init__(self, front: SearchServer, *, url: str = "") -> None:
        self.front = front
        self._url = url

    def run(self, *options: str, stop: Stop | None = None) -> tuple[int, list[str]]:
        """Exit code and lines."""
        said = io.StringIO()
        with redirect_stdout(said):
            server = f"--{self.front.server.value.lower()}"
            url = self._url or self.front.url
            code = main([server, url, *options], stop or threading.Event())
        return code, said.getvalue().splitlines()


@contextmanager
def setup_of(upstream: Elasticsearch, *, server: Server = Server.ELASTICSEARCH) -> Iterator[Setup]:
    """The command, for this server."""
    with SearchServer(server, upstream=upstream.url) as front:
        yield Setup(front)


def checked(url: str, *, server: Server = Server.ELASTICSEARCH) -> list[str]:
    """What `eventrouter check` says of a server."""
    sink = Sink("", server, url, Parameters(), None, Login())
    return [str(finding) for finding in inspect(sink, clock=SystemClock())]


def words(lines: list[str]) -> list[str]:
    """What became of each object."""
    return [line.split("  ")[0] for line in lines]
