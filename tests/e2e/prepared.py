"""`eventrouter setup` on a real Elasticsearch that has no ILM: that part is played."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from eventrouter.setup.command import main
from tests.programs import Elasticsearch
from tests.support.searchserver import SearchServer

POLICY, TEMPLATE = "/_ilm/policy/kube-events", "/_index_template/kube-events"


class Setup:
    """Runs the command through the front that plays ILM."""

    def __init__(self, front: SearchServer) -> None:
        self.front = front

    def run(self, *options: str) -> tuple[int, list[str]]:
        """Exit code and lines."""
        said = io.StringIO()
        with redirect_stdout(said):
            code = main(["--elasticsearch", self.front.url, *options], threading.Event())
        return code, said.getvalue().splitlines()


@contextmanager
def setup_of(elasticsearch: Elasticsearch) -> Iterator[Setup]:
    """The command, for this server."""
    with SearchServer(upstream=elasticsearch.url) as front:
        yield Setup(front)
