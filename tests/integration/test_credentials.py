"""Every way to be let in, with real children: tokens, files, certificates, plugins, accounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventrouter.errors import ApiError, ConfigError
from eventrouter.kube import credentials
from eventrouter.standins.apiserver.server import ApiServer
from tests.integration.client import Client, port_of, sent
from tests.programs.required import required
from tests.support.authority import Authority, inline
from tests.support.clock import FakeClock
from tests.support.fronts import TlsFront
from tests.support.kubeconfig import exec_credential, write_exec_plugin, write_kubeconfig
from tests.support.processes import has_ended
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("real_child")


# --- in the kubeconfig itself


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "a-token"}, "Bearer a-token"),
        ({"username": "jane", "password": "pass:word"}, "Basic amFuZTpwYXNzOndvcmQ="),
        ({}, None),
    ],
    ids=["token", "password", "nobody"],
)
def test_a_user_s_own_secret_is_sent(
    user: dict[str, str], header: str | None, server: ApiServer, tmp_path: Path
) -> None:
    path = write_kubeconfig(tmp_path / "config", cluster={"server": server.url}, user=user)

    Client(path).ask()

    assert sent(server) == header


def test_a_token_s_file_is_followed_without_another_child(
    server: ApiServer, tmp_path: Path
) -> None:
    """`tokenFile`, by a path that is relative to the kubeconfig."""
    file = tmp_path / "token"
    file.write_text("first")
    user = {"tokenFile": "token"}
    path = write_kubeconfig(tmp_path / "config", cluster={"server": server.url}, user=user)
    client = Client(path)
    client.ask()
    assert sent(server) == "Bearer first"

    file.write_text("second\n")
    client.clock.advance(60)
    client.ask()
    assert sent(server) == "Bearer second"

    file.write_text("third\n")
    server.tokens = {"third"}
    client.ask()
    assert sent(server) == "Bearer third"
    assert client.children == 1


def test_a_token_that_is_refused_is_read_anew_from_the_kubeconfig(
    server: ApiServer, tmp_path: Path
) -> None:
    """By one child, once a minute has passed since the last."""
    cluster = {"server": server.url}
    path = write_kubeconfig(tmp_path / "config", cluster=cluster, user={"token": "old"})
    client = Client(path)
    write_kubeconfig(path, cluster=cluster, user={"token": "new"})
    server.tokens = {"new"}

    with pytest.raises(ApiError, match="401"):
        client.ask()
    client.clock.advance(60)
    client.ask()

    assert sent(server) == "Bearer new"
    assert client.children == 2


@pytest.mark.parametrize("form", ["file", "inline"])
def test_a_client_certificate_is_shown_to_the_server(
    form: str, authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    jane = authority.client("jane")
    user = (
        {"client-certificate": str(jane.cert), "client-key": "authority/jane.key"}
        if form == "file"
        else {"client-certificate-data": inline(jane.cert), "client-key-data": inline(jane.key)}
    )
    certificate = authority.server("IP:127.0.0.1")
    with TlsFront(port_of(server), certificate, client_ca=authority.file) as front:
        cluster = {"server": front.url, "certificate-authority-data": inline(authority.file)}
        Client(write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)).ask()

        assert front.clients == ["jane"]


# --- exec plugins


def plugin_kubeconfig(server: ApiServer, folder: Path, script: str) -> Path:
    """With a plugin that notes each of its runs in the file `runs`."""
    user = write_exec_plugin(folder / "plugin", f"echo run >> {folder}/runs\n{script}")
    return write_kubeconfig(folder / "config", cluster={"server": server.url}, user=user)


def test_an_exec_plugin_s_token_is_sent(server: ApiServer, tmp_path: Path) -> None:
    path = plugin_kubeconfig(server, tmp_path, f"echo '{exec_credential(token='from-a-plugin')}'")

    client = Client(path)
    client.ask()
    client.ask()

    assert sent(server) == "Bearer from-a-plugin"
    assert (tmp_path / "runs").read_text() == "run\n"


def test_an_exec_plugin_s_certificate_is_shown(
    authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    jane = authority.client("jane")
    answer = exec_credential(
        clientCertificateData=jane.cert.read_text(), clientKeyData=jane.key.read_text()
    )
    (tmp_path / "answer").write_text(answer)
    user = write_exec_plugin(tmp_path / "plugin", f"cat {tmp_path}/answer")
    certificate = authority.server("IP:127.0.0.1")
    with TlsFront(port_of(server), certificate, client_ca=authority.file) as front:
        cluster = {"server": front.url, "certificate-authority": str(authority.file)}
        Client(write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)).ask()

        assert front.clients == ["jane"]


def test_an_exec_plugin_that_fails_is_an_error_with_its_own_words(
    server: ApiServer, tmp_path: Path
) -> None:
    """Before any connection."""
    path = plugin_kubeconfig(server, tmp_path, "echo 'log in' >&2; echo 'first' >&2; exit 3")

    with pytest.raises(ConfigError) as caught:
        Client(path)

    reason = "exec: process returned 3. log in first"
    assert str(caught.value) == f"--kubeconfig: cannot use {path}: {reason}"
    assert server.requests == []


def test_an_exec_plugin_that_fails_later_is_what_the_error_says(
    server: ApiServer, tmp_path: Path
) -> None:
    """Not the 401 that it follows."""
    path = plugin_kubeconfig(server, tmp_path, f"echo '{exec_credential(token='old')}'")
    client = Client(path)
    plugin_kubeconfig(server, tmp_path, "echo 'your login has expired' >&2; exit 1")
    server.tokens = {"new"}
    client.clock.advance(60)

    for _ in range(2):
        with pytest.raises(ApiError, match="your login has expired") as caught:
            client.ask()
        assert caught.value.reason == "credentials"

    assert client.children == 2


def test_an_exec_plugin_that_hangs_is_given_up_and_ended(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the child that runs it, and within a bounded time."""
    monkeypatch.setattr(credentials, "CHILD_SECONDS", 10.0)
    path = plugin_kubeconfig(server, tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 1000")

    with pytest.raises(ConfigError, match="no answer in 10 s"):
        Client(path)

    eventually(lambda: has_ended(int((tmp_path / "pid").read_text())))


def test_a_token_that_expires_is_renewed_by_one_child_before_that(
    server: ApiServer, tmp_path: Path
) -> None:
    """The exec plugin says when."""
    client_time = FakeClock().time()
    expiry = datetime.fromtimestamp(client_time + 900, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    first = exec_credential(token="first", expirationTimestamp=expiry)
    client = Client(plugin_kubeconfig(server, tmp_path, f"echo '{first}'"))
    plugin_kubeconfig(server, tmp_path, f"echo '{exec_credential(token='second')}'")
    client.clock.advance(839)
    client.ask()
    assert sent(server) == "Bearer first"

    client.clock.advance(1)
    client.ask()
    eventually(lambda: client.credentials.current().authorization == "Bearer second")
    client.ask()

    assert sent(server) == "Bearer second"
    assert client.children == 2


def test_a_plugin_s_token_that_expired_unannounced_is_renewed_by_one_child(
    server: ApiServer, tmp_path: Path
) -> None:
    client = Client(plugin_kubeconfig(server, tmp_path, f"echo '{exec_credential(token='old')}'"))
    plugin_kubeconfig(server, tmp_path, f"echo '{exec_credential(token='new')}'")
    server.tokens = {"new"}
    client.clock.advance(3600)

    client.ask()

    assert sent(server) == "Bearer new"
    assert client.children == 2


# --- a service account


@pytest.fixture
def account(
    authority: Authority, server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, TlsFront]]:
    """What the kubelet mounts, and the API server that its variables name.

    The child is led to that folder; but for this it is the real one.
    """
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("first\n")
    (folder / "ca.crt").write_bytes(authority.file.read_bytes())
    script = (
        "from kubernetes.config import incluster_config as account\n"
        f"account.SERVICE_TOKEN_FILENAME = '{folder}/token'\n"
        f"account.SERVICE_CERT_FILENAME = '{folder}/ca.crt'\n"
        "from eventrouter.kube.credentials_loader import main\n"
        "main()"
    )
    monkeypatch.setattr(credentials, "COMMAND", (sys.executable, "-P", "-c", script))
    with TlsFront(port_of(server), authority.server("IP:127.0.0.1")) as front:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(front.port))
        yield folder, front


def test_a_service_account_s_token_is_followed_without_another_child(
    account: tuple[Path, TlsFront], server: ApiServer
) -> None:
    """Rotated by the kubelet, or expired and refused."""
    folder, _ = account
    client = Client(None)
    client.ask()
    assert sent(server) == "bearer first"

    (folder / "token").write_text("second\n")
    client.clock.advance(60)
    client.ask()
    assert sent(server) == "Bearer second"

    (folder / "token").write_text("third\n")
    server.tokens = {"third"}
    client.ask()
    assert sent(server) == "Bearer third"
    assert client.children == 1


def test_a_service_account_s_rotated_ca_is_followed(
    account: tuple[Path, TlsFront], server: ApiServer, tmp_path: Path
) -> None:
    """Each new connection reads the file that the kubelet keeps up to date."""
    folder, front = account
    client = Client(None)
    client.ask()
    front.close()
    other = Authority(tmp_path / "other", openssl=required("openssl"))
    with TlsFront(port_of(server), other.server("IP:127.0.0.1"), port=front.port):
        with pytest.raises(ApiError) as caught:
            client.ask()
        assert caught.value.reason in ("tls", "unreachable")
        (folder / "ca.crt").write_bytes(other.file.read_bytes())
        client.ask()


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_a_service_account_that_is_not_mounted_is_an_error(
    missing: str, account: tuple[Path, TlsFront]
) -> None:
    folder, _ = account
    (folder / missing).unlink()

    with pytest.raises(ConfigError, match=r"cannot use the service account: .*does not exist"):
        Client(None)
