"""`eventrouter setup` on a real server that has no ILM and no ISM: that part is played."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from eventrouter.setup.command import main
from eventrouter.setup.mapping import Server
from tests.programs import Elasticsearch
from tests.support.searchserver import SearchServer

POLICY, TEMPLATE = "/_ilm/policy/kube-events", "/_index_template/kube-events"


class Setup:
    """Runs the command through the front that plays the policies."""

    def __init__(self, front: SearchServer) -> None:
        self.front = front

    def run(self, *options: str) -> tuple[int, list[str]]:
        """Exit code and lines."""
        said = io.StringIO()
        with redirect_stdout(said):
            server = f"--{self.front.server.value.lower()}"
            code = main([server, self.front.url, *options], threading.Event())
        return code, said.getvalue().splitlines()


@contextmanager
def setup_of(upstream: Elasticsearch, *, server: Server = Server.ELASTICSEARCH) -> Iterator[Setup]:
    """The command, for this server."""
    with SearchServer(server, upstream=upstream.url) as front:
        yield Setup(front)
