"""The way to the API server, as the kubeconfig describes it: TLS, names and proxies."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from eventrouter.errors import ApiError
from eventrouter.standins.apiserver.server import ApiServer
from tests.integration.client import Client, port_of, sent
from tests.programs.required import required
from tests.support.authority import Authority, inline
from tests.support.fronts import TlsFront, TunnelProxy
from tests.support.kubeconfig import write_kubeconfig

pytestmark = pytest.mark.usefixtures("real_child")
USER = {"token": "a-token"}


def client_of(folder: Path, cluster: dict[str, Any]) -> Client:
    return Client(write_kubeconfig(folder / "config", cluster=cluster, user=USER))


def refused(client: Client) -> str:
    """Why there is no TLS with the server."""
    with pytest.raises(ApiError) as caught:
        client.ask()
    assert caught.value.reason == "tls"
    return str(caught.value)


def test_a_server_of_another_ca_is_refused_until_the_kubeconfig_names_that_ca(
    authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    """A rotated CA, inline in the kubeconfig: a TLS error has everything read anew."""
    with TlsFront(port_of(server), authority.server("IP:127.0.0.1")) as front:
        cluster = {"server": front.url, "certificate-authority-data": inline(authority.file)}
        client = client_of(tmp_path, cluster)
        client.ask()
        front.close()
        other = Authority(tmp_path / "other", openssl=required("openssl"))
        with TlsFront(port_of(server), other.server("IP:127.0.0.1"), port=front.port):
            client.clock.advance(60)
            assert "CERTIFICATE_VERIFY_FAILED" in refused(client)

            cluster["certificate-authority-data"] = inline(other.file)
            write_kubeconfig(tmp_path / "config", cluster=cluster, user=USER)
            client.clock.advance(60)
            client.ask()

    assert client.children == 3


def test_a_server_of_another_name_is_refused_unless_the_kubeconfig_names_it(
    authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    """`tls-server-name`, for a server that is reached through an address which is not its own."""
    with TlsFront(port_of(server), authority.server("DNS:kubernetes.default.svc")) as front:
        cluster = {"server": front.url, "certificate-authority": str(authority.file)}
        assert "CERTIFICATE_VERIFY_FAILED" in refused(client_of(tmp_path, cluster))

        cluster["tls-server-name"] = "kubernetes.default.svc"
        client_of(tmp_path, cluster).ask()

        assert front.names[-1] == "kubernetes.default.svc"


def test_a_server_is_not_verified_where_the_kubeconfig_says_so(
    authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    """`insecure-skip-tls-verify`."""
    with TlsFront(port_of(server), authority.server("DNS:elsewhere")) as front:
        client = client_of(tmp_path, {"server": front.url, "insecure-skip-tls-verify": True})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # urllib3 says that this is unsafe, and it is
            client.ask()

    assert sent(server) == "Bearer a-token"


def test_a_proxy_is_asked_for_a_tunnel(
    authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    """`proxy-url`. The proxy finds the server by its name, and does not see what is sent."""
    certificate = authority.server("DNS:api.test")
    with TunnelProxy() as proxy, TlsFront(port_of(server), certificate) as front:
        cluster = {
            "server": f"https://api.test:{front.port}",
            "certificate-authority": str(authority.file),
            "proxy-url": proxy.url,
        }
        client_of(tmp_path, cluster).ask()

        assert proxy.targets == [f"api.test:{front.port}"]
    assert sent(server) == "Bearer a-token"


@pytest.mark.parametrize(("exception", "tunnels"), [("", 1), ("127.0.0.0/8", 0)])
def test_the_environment_s_proxy_and_its_exceptions_count_as_elsewhere(
    exception: str,
    tunnels: int,
    authority: Authority,
    server: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        TunnelProxy() as proxy,
        TlsFront(port_of(server), authority.server("IP:127.0.0.1")) as front,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exception)
        cluster = {"server": front.url, "certificate-authority": str(authority.file)}
        client_of(tmp_path, cluster).ask()

        assert len(proxy.targets) == tunnels
