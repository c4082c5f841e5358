"""Certificates of older makers, under the rules that Python 3.13 brought."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3

from eventrouter.clock import SystemClock
from eventrouter.kube.credentials import Endpoint
from eventrouter.kube.pool import Pool
from eventrouter.setup.target import Login, Target
from tests.programs.required import required
from tests.support.authority import Authority
from tests.support.clock import FakeStop
from tests.support.httpserver import Exchange, HttpServer
from tests.support.waiting import DEADLINE


class Greeting(HttpServer):
    def serve(self, exchange: Exchange) -> None:
        exchange.reply(200, b"{}", content_type="application/json")


@pytest.fixture(autouse=True)
def _as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3 is strict from that version on."""
    monkeypatch.setattr("urllib3.util.ssl_.sys", SimpleNamespace(version_info=(3, 13)))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Without keyUsage, as Elasticsearch's own was."""
    return Authority(tmp_path / "authority", openssl=required("openssl"), is_lax=True)


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    with Greeting(context=authority.server("IP:127.0.0.1").server_context()) as server:
        yield f"https://127.0.0.1:{server.port}"


def test_the_api_server_s_may_lack_an_extension(url: str, authority: Authority) -> None:
    """As the CAs of clusters made before 2020 do, which client-go takes."""
    with pytest.raises(urllib3.exceptions.SSLError, match="key usage"):
        urllib3.PoolManager(ca_certs=str(authority.file), retries=False).request("GET", url)
    options: dict[str, str | int] = {
        "ca_certs": str(authority.file),
        "cert_reqs": int(ssl.CERT_REQUIRED),
    }

    pool = Pool(Endpoint(server=url, options=options))

    assert pool.request("GET", "/", timeout=urllib3.Timeout(DEADLINE)).status == 200


def test_elasticsearch_s_may_lack_an_extension(url: str, authority: Authority) -> None:
    """As Fluent Bit takes it."""
    target = Target(
        url,
        login=Login(),
        ca_file=str(authority.file),
        wait_seconds=0,
        clock=SystemClock(),
        stop=FakeStop(),
    )

    assert target.send("GET", "/", None, {})[0] == 200


@pytest.mark.parametrize("cert_reqs", [ssl.CERT_REQUIRED, ssl.CERT_NONE])
def test_one_that_nobody_trusts_is_refused_unless_that_is_asked_for(
    cert_reqs: ssl.VerifyMode, url: str
) -> None:
    pool = Pool(Endpoint(server=url, options={"cert_reqs": int(cert_reqs)}))

    if cert_reqs is ssl.CERT_NONE:
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert pool.request("GET", "/", timeout=urllib3.Timeout(DEADLINE)).status == 200
    else:
        with pytest.raises(urllib3.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            pool.request("GET", "/", timeout=urllib3.Timeout(DEADLINE))
