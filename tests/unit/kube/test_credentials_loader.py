"""What a child finds in kubeconfigs of all kinds, without the process around it."""

from __future__ import annotations

import base64
import errno
import json
import logging
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import KubeConfigMerger
from urllib3.exceptions import DependencyWarning

from eventrouter.kube.credentials import Access
from eventrouter.kube.credentials_loader import load
from tests.programs.required import required
from tests.support.authority import Authority, inline
from tests.support.httpserver import Exchange, HttpServer
from tests.support.kubeconfig import exec_credential, write_exec_plugin, write_kubeconfig

PLAIN = {"server": "http://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def found(path: Path) -> Access:
    answer = load(str(path))
    assert answer.access is not None, answer.problem
    return answer.access


def test_a_token_is_not_followed_in_a_file_that_it_is_not_from(tmp_path: Path) -> None:
    """The package takes `token` where both are given."""
    (tmp_path / "token").write_text("in a file")
    user = {"token": "inline", "tokenFile": "token"}

    access = found(write_kubeconfig(tmp_path / "config", cluster=PLAIN, user=user))

    assert (access.authorization, access.token_file) == ("Bearer inline", None)


def test_several_kubeconfigs_are_one_and_paths_are_relative_to_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KUBECONFIG=clusters:users. The package reads the variable when it is imported."""
    folder = tmp_path / "of-users"
    folder.mkdir()
    (folder / "token").write_text("from a file")
    clusters = write_kubeconfig(tmp_path / "clusters", cluster=PLAIN, user={})
    users = write_kubeconfig(folder / "users", cluster={}, user={"tokenFile": "token"})
    config = json.loads(clusters.read_text())
    del config["users"]
    clusters.write_text(json.dumps(config))
    monkeypatch.setattr("kubernetes.config.KUBE_CONFIG_DEFAULT_LOCATION", f"{clusters}:{users}")

    access = load(None).access

    assert access is not None
    assert access.endpoint.server == PLAIN["server"]
    assert access.authorization == "Bearer from a file"
    assert access.token_file == str(folder / "token")


def test_files_that_a_kubeconfig_names_are_handed_over_by_name_and_the_rest_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be replaced meanwhile, and each new connection reads it."""
    authority = Authority(tmp_path / "authority", openssl=required("openssl"))
    jane = authority.client("jane")
    cluster = {"server": "https://api.test", "certificate-authority": "authority/ca.crt"}
    user = {"client-certificate-data": inline(jane.cert), "client-key-data": inline(jane.key)}
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    path = write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)
    access = load(str(path), folder=str(folder)).access

    assert access is not None
    assert access.endpoint.options["ca_certs"] == str(authority.file)
    assert access.endpoint.contents == {
        "cert_file": jane.cert.read_bytes(),
        "key_file": jane.key.read_bytes(),
    }


@pytest.mark.parametrize(
    ("field", "content", "reason"),
    [
        ("certificate-authority", None, "File does not exist: {path}"),
        ("certificate-authority", b"rubbish", "{path}: "),
        ("client-certificate", b"rubbish", "{path}: "),
        ("tokenFile", None, "{path}"),
    ],
)
def test_a_file_that_is_of_no_use_is_an_error_that_names_it(
    field: str, content: bytes | None, reason: str, tmp_path: Path
) -> None:
    """At the start, not at the first connection."""
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    cluster: dict[str, object] = {"server": "https://api.test"}
    user: dict[str, object] = {}
    (cluster if field == "certificate-authority" else user)[field] = str(file)

    answer = load(str(write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)))

    assert answer.access is None
    assert reason.format(path=file) in answer.problem


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo rubbish", "failed to decode process output"),
        (f"echo '{exec_credential()}'", "missing token"),
        ("echo '{}'", "missing key"),
    ],
)
def test_an_exec_plugin_s_answer_that_is_of_no_use_is_an_error(
    script: str, reason: str, tmp_path: Path
) -> None:
    """The package only logs it, and would continue as nobody."""
    user = write_exec_plugin(tmp_path / "plugin", script)

    answer = load(str(write_kubeconfig(tmp_path / "config", cluster=PLAIN, user=user)))

    assert answer.access is None
    assert reason in answer.problem


def test_a_failure_without_a_word_is_an_error_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the watcher would continue as nobody."""

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(ExecProvider, "run", fail)
    user = {"exec": {"command": "/bin/true", "apiVersion": "v1"}}

    answer = load(str(write_kubeconfig(tmp_path / "config", cluster=PLAIN, user=user)))

    assert answer.access is None


def test_an_exec_plugin_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    user = {"exec": {"command": "/no/such/plugin", "apiVersion": "v1"}}

    answer = load(str(write_kubeconfig(tmp_path / "config", cluster=PLAIN, user=user)))

    assert "/no/such/plugin" in answer.problem


def test_a_key_with_a_passphrase_is_an_error_and_asks_nobody(tmp_path: Path) -> None:
    openssl = required("openssl")
    authority = Authority(tmp_path / "authority", openssl=openssl)
    jane = authority.client("jane")
    encrypted = tmp_path / "encrypted.key"
    command = f"pkcs8 -topk8 -passout pass:secret -in {jane.key} -out {encrypted}"
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    user = {"client-certificate": str(jane.cert), "client-key": str(encrypted)}
    cluster = {"server": "https://api.test"}

    answer = load(str(write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)))

    assert answer.access is None
    assert answer.problem.startswith(f"{jane.cert}: ")


def test_a_proxy_that_needs_another_package_is_an_error_that_names_it(tmp_path: Path) -> None:
    cluster = {"server": "https://api.test", "proxy-url": "socks5://127.0.0.1:1"}
    path = write_kubeconfig(tmp_path / "config", cluster=cluster, user={})

    with pytest.warns(DependencyWarning, match="SOCKS"):
        answer = load(str(path))

    assert answer.access is None
    assert "socks" in answer.problem


SECRET = "s3cr3t"
TOKENS = {"refresh-token": SECRET, "client-secret": SECRET, "idp-issuer-url": "https://idp.test"}


def whole(users: list[dict[str, Any]]) -> str:
    contexts = [{"name": "test", "context": {"cluster": "test", "user": "test"}}]
    clusters = [{"name": "test", "cluster": PLAIN}]
    config = {"contexts": contexts, "clusters": clusters, "users": users}
    return json.dumps({"current-context": "test"} | config, indent=1)


@pytest.mark.parametrize(
    "content",
    [
        whole([{"name": "test", "token": SECRET}]),
        whole([{"token": SECRET}, {"name": "test", "user": {}}]),
        whole([{"name": "test", "user": {"auth-provider": {"name": "oidc", "config": TOKENS}}}]),
        whole(
            [
                {
                    "name": "test",
                    "user": {
                        "exec": {
                            "command": "/bin/true",
                            "apiVersion": "v1",
                            "env": [{"name": "KEY", "value": SECRET}, {"name": "OTHER"}],
                        }
                    },
                }
            ]
        ),
        f"users: [{{name: test, user: {{password: !{SECRET} }}}}]",
        f"users: [{{name: test, user: {{token: *{SECRET} }}}}]",
    ],
    ids=["no user", "no name", "no id-token", "no value", "tag", "alias"],
)
def test_an_error_about_a_kubeconfig_has_none_of_its_secrets(content: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(content)

    problem = load(str(path)).problem

    assert problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("cluster", "problem"),
    [
        ({"server": f"https://jane:{SECRET}@api.test"}, "the server's URL has a login"),
        (PLAIN | {"proxy-url": f"http://jane:{SECRET}@proxy.test:99999"}, "the proxy's URL"),
        (PLAIN | {"proxy-url": f"http://jane:{SECRET}#word@proxy.test:80"}, "the proxy's URL"),
    ],
)
def test_an_error_about_a_url_does_not_show_its_login(
    cluster: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    told = load(str(write_kubeconfig(tmp_path / "config", cluster=cluster, user={}))).problem

    assert problem in told
    assert SECRET not in told


@pytest.mark.parametrize("token", [f"{SECRET}\n{SECRET}", f"\ufeff{SECRET}"])
def test_a_token_that_no_header_may_have_is_an_error_without_it(token: str, tmp_path: Path) -> None:
    """Python would show it in the traceback of the first request."""
    path = write_kubeconfig(tmp_path / "config", cluster=PLAIN, user={"token": token})

    assert load(str(path)).problem == "the token has characters that no header may have"


def test_a_kubeconfig_in_the_home_directory_may_be_named_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path / "config", cluster=PLAIN, user={"token": "mine"})
    monkeypatch.setenv("HOME", str(tmp_path))

    assert found(Path("~/config")).authorization == "Bearer mine"


def test_a_token_s_file_beside_a_linked_folder_is_the_one_that_the_package_reads(
    tmp_path: Path,
) -> None:
    """The package takes `..` away before it opens the file."""
    (tmp_path / "elsewhere" / "kube").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere" / "kube")
    (tmp_path / "token").write_text("mine")
    user = {"tokenFile": "../token"}

    access = found(write_kubeconfig(tmp_path / "linked" / "config", cluster=PLAIN, user=user))

    assert access.token_file == str(tmp_path / "token")


def test_no_handler_of_logs_is_left_behind(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)

    load(str(tmp_path / "missing"))

    assert logging.getLogger().handlers == before


# --- providers of tokens


def id_token(*, expires: float) -> str:
    """As much of a JWT as the package reads."""
    parts = ({"alg": "none"}, {"exp": int(expires)})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"]).replace("=", "")


class IdentityProvider(HttpServer):
    """Gives the token `fresh` for a refresh token."""

    def __init__(self, context: ssl.SSLContext, *, fresh: str) -> None:
        self._fresh = fresh
        super().__init__(context=context)
        self.url = f"https://127.0.0.1:{self.port}"

    def serve(self, exchange: Exchange) -> None:
        if exchange.command == "POST":
            assert b"refresh_token=once" in exchange.body()
            answer: dict[str, Any] = {"access_token": "-", "token_type": "bearer"}
            answer |= {"id_token": self._fresh, "refresh_token": "twice"}
        else:
            answer = {"token_endpoint": f"{self.url}/token"}
        exchange.reply(200, json.dumps(answer).encode(), content_type="application/json")


@pytest.mark.parametrize("is_writable", [True, False])
def test_an_oidc_token_is_refreshed_at_its_provider_and_kept_where_that_is_possible(
    is_writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    if not is_writable:
        monkeypatch.setattr(KubeConfigMerger, "save_config", refuse)
    authority = Authority(tmp_path / "authority", openssl=required("openssl"))
    context = authority.server("IP:127.0.0.1").server_context()
    fresh = id_token(expires=time.time() + 3600)
    with IdentityProvider(context, fresh=fresh) as provider:
        config = {
            "idp-issuer-url": provider.url,
            "idp-certificate-authority-data": inline(authority.file),
            "client-id": "eventrouter",
            "client-secret": "secret",
            "id-token": id_token(expires=time.time() - 60),
            "refresh-token": "once",
        }
        user = {"auth-provider": {"name": "oidc", "config": config}}
        path = write_kubeconfig(tmp_path / "config", cluster=PLAIN, user=user)

        assert found(path).authorization == f"Bearer {fresh}"

    assert (fresh in path.read_text()) == is_writable
    assert ("twice" in path.read_text()) == is_writable


def test_a_token_of_a_command_has_its_expiry(tmp_path: Path) -> None:
    """The provider `gcp` with `cmd-path`, as old kubeconfigs have it."""
    answer = {"credential": {"access_token": "fresh", "token_expiry": "2100-01-01T00:00:00Z"}}
    (tmp_path / "answer").write_text(json.dumps(answer))
    config = {"cmd-path": "/bin/cat", "cmd-args": f"{tmp_path}/answer"}
    user = {"auth-provider": {"name": "gcp", "config": config}}

    access = found(write_kubeconfig(tmp_path / "config", cluster=PLAIN, user=user))

    assert access.authorization == "Bearer fresh"
    assert access.expires == 4_102_444_800.0
