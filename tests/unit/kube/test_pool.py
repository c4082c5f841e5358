"""Connections to the API server that fail before they have begun."""

import select
import socket
import threading

import pytest
import urllib3

from eventrouter.errors import ApiError
from eventrouter.kube.api import mapped_errors
from eventrouter.kube.credentials import Endpoint
from eventrouter.kube.pool import Pool
from eventrouter.standins.standin import reset
from tests.support.httpserver import Exchange, HttpServer
from tests.support.waiting import DEADLINE


def test_a_server_that_resets_a_connection_before_the_handshake_is_unreachable(monkeypatch):
    open_connection = urllib3.util.connection.create_connection

    def connected_and_reset(*args, **options):
        client = open_connection(*args, **options)
        server, _ = listener.accept()
        reset(server)
        server.close()
        hangup = select.poll()
        hangup.register(client, select.POLLHUP)
        assert hangup.poll(DEADLINE * 1000)
        return client

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connected_and_reset)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with (
            pytest.raises(ApiError, match=r"cannot reach .*Connection reset") as raised,
            mapped_errors(url),
        ):
            Pool(Endpoint(server=url, options={})).request(
                "GET", "/", timeout=urllib3.Timeout(DEADLINE)
            )
    assert raised.value.reason == "unreachable"


def test_a_server_that_ends_a_connection_within_the_handshake_is_unreachable():
    """As one that is away behind a load balancer: its credentials are as good as before."""

    def accept_and_end():
        end, _ = listener.accept()
        with end:
            end.recv(65536)  # unread, it would be a reset

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept_and_end)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ApiError, match="EOF") as raised, mapped_errors(url):
            Pool(Endpoint(server=url, options={})).request(
                "GET", "/", timeout=urllib3.Timeout(DEADLINE)
            )
        thread.join()
    assert raised.value.reason == "unreachable"


def test_a_client_certificate_that_is_gone_is_an_error_of_tls_so_that_all_is_read_anew(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        endpoint = Endpoint(server=url, options={"cert_file": str(tmp_path / "rotated.crt")})
        with (
            pytest.raises(ApiError, match=r"the client certificate: .*No such file") as raised,
            mapped_errors(url),
        ):
            Pool(endpoint).request("GET", "/", timeout=urllib3.Timeout(DEADLINE))
    assert raised.value.reason == "tls"


class Noting(HttpServer):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__()

    def serve(self, exchange: Exchange) -> None:
        self.asked.append(exchange.path)
        exchange.reply(200, b"{}", content_type="application/json")


@pytest.mark.parametrize(
    ("server", "proxy", "asked"),
    [
        ("http://{here}/k8s/clusters/c-1", None, "/k8s/clusters/c-1/version?timeout=5s"),
        ("http://{here}", None, "/version?timeout=5s"),
        ("http://api.test/c-1", "http://{here}", "http://api.test/c-1/version?timeout=5s"),
    ],
    ids=["below a path", "at the root", "by a proxy for plain HTTP"],
)
def test_a_target_is_below_the_server_s_own_path(server, proxy, asked):
    with Noting() as noting:
        here = f"127.0.0.1:{noting.port}"
        endpoint = Endpoint(
            server=server.format(here=here),
            proxy=proxy and proxy.format(here=here),
            options={},
        )
        pool = Pool(endpoint)
        for _ in range(2):
            timeout = urllib3.Timeout(DEADLINE)
            assert pool.request("GET", "/version?timeout=5s", timeout=timeout).data == b"{}"

    assert noting.asked == [asked, asked]
