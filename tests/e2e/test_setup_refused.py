"""`eventrouter setup` on the two real servers, where something in front of them refuses it.

Their published parts have no security and no TLS: a front asks for the login and its privileges,
another ends TLS, and what they let through goes to the real one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from eventrouter.setup.mapping import Server
from tests.e2e.prepared import Setup, words
from tests.programs import Elasticsearch
from tests.programs.required import required
from tests.support.authority import Authority
from tests.support.fronts import TlsFront
from tests.support.ports import free_port
from tests.support.searchserver import SearchServer

pytestmark = pytest.mark.e2e


class Real(NamedTuple):
    """A real server as on its first day."""

    server: Server
    program: Elasticsearch

    def front(self, *, port: int = 0) -> SearchServer:
        """What plays security and policies before it."""
        return SearchServer(self.server, upstream=self.program.url, port=port)

    @property
    def has_template(self) -> bool:
        return '"kube-events-*"' in json.dumps(self.program.request("GET", "/_index_template"))


@pytest.fixture(params=Server, ids=str)
def real(request: pytest.FixtureRequest) -> Real:
    server: Server = request.param
    name = "elasticsearch" if server is Server.ELASTICSEARCH else "opensearch"
    program: Elasticsearch = request.getfixturevalue(f"session_{name}")
    program.request("DELETE", "/_index_template/*")
    program.delete("kube-events-*")
    return Real(server, program)


def test_without_a_login_or_its_privileges_nothing_reaches_it(
    real: Real, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENTROUTER_SETUP_API_KEY", "a2V5")
    with real.front() as front:
        front.authorization = "ApiKey b3RoZXI="
        assert Setup(front).run()[0] == 1
        assert "refuses the login (401)" in capsys.readouterr().err
        front.authorization = "ApiKey a2V5"
        front.missing = {"manage_index_templates"}
        code, lines = Setup(front).run()
        assert (code, words(lines)) == (1, ["created", "FAILED"])
        assert "index_template" in lines[1] or "manage_index_templates" in lines[1]
        assert not real.has_template

        front.missing = set()
        assert words(Setup(front).run()[1]) == ["unchanged", "created"]
    assert real.has_template


def test_through_tls_it_is_set_up_with_the_right_ca_only(
    real: Real, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = (
        Authority(tmp_path / name, openssl=required("openssl")) for name in ("right", "wrong")
    )
    with real.front() as inner, TlsFront(inner.port, right.server("IP:127.0.0.1")) as front:
        setup = Setup(inner, url=front.url)
        assert setup.run("--ca-file", str(wrong.file))[0] == 1
        assert "certificate is not trusted" in capsys.readouterr().err
        assert not inner.requests
        assert not real.has_template

        code, lines = setup.run("--ca-file", str(right.file))
        assert (code, words(lines)) == (0, ["created", "created"])
    assert real.has_template


class _Returning(threading.Event):
    """The server comes back at the first wait for it."""

    def __init__(self, come_back: Callable[[], object]) -> None:
        super().__init__()
        self._come_back = come_back
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        if not self.waits:
            self._come_back()
        self.waits += 1
        return super().wait(timeout)


def test_it_is_set_up_once_it_is_back_within_the_time(real: Real) -> None:
    port = free_port()
    with ExitStack() as stack, real.front() as elsewhere:
        returning = _Returning(lambda: stack.enter_context(real.front(port=port)))
        setup = Setup(elsewhere, url=f"http://127.0.0.1:{port}")
        code, lines = setup.run("--wait", "30", stop=returning)
        assert (code, words(lines)) == (0, ["created", "created"])
    assert returning.waits
    assert real.has_template
