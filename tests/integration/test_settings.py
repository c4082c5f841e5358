"""Wrong settings end with exit code 2 and one line; a wrong world is waited for."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventrouter import cli
from eventrouter.app import App
from eventrouter.config import Config, Listen
from eventrouter.errors import ConfigError
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.cluster import Cluster
from tests.integration.process import Process, run
from tests.support.ports import free_port
from tests.support.waiting import eventually

_PATCHES = {"eventrouter.pipeline.DRAIN_SECONDS": 0.3, "eventrouter.pipeline.DELIVERY_SECONDS": 0.1}


def _refused(setting: str, *options: str) -> str:
    """Run with these options: exit code 2, one line that names the setting. The line."""
    result = run(*options)
    lines = result.stderr.splitlines()
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(lines) == 1, result.stderr
    assert setting in lines[0]
    assert "Traceback" not in lines[0]
    return lines[0]


def test_a_missing_kubeconfig_is_refused(tmp_path: Path) -> None:
    """The line says which file."""
    line = _refused("--kubeconfig", "--kubeconfig", f"{tmp_path}/nowhere")
    assert f"{tmp_path}/nowhere" in line


def _wrong(setting: str, **settings: Any) -> str:
    """What the application says to these settings, at once: one line that names the setting."""
    with pytest.raises(ConfigError) as caught:
        App(Config(listen=Listen("127.0.0.1", 0), **settings))
    line = str(caught.value)
    assert line.startswith(f"{setting}: ")
    assert "\n" not in line
    return line


def test_a_folder_for_a_kubeconfig_is_refused(tmp_path: Path) -> None:
    """The usual slip: the folder instead of the file."""
    assert "directory" in _wrong("--kubeconfig", kubeconfig=str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "rubbish",
        "- a\n- list\n",
        "{",
        "a: [b\n",
        "\x00\x01",
        "apiVersion: v1\nkind: Config\n",
        "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\ncurrent-context: x\n",
        "clusters: 7\ncontexts: 7\nusers: 7\ncurrent-context: 7\n",
    ],
    ids=["empty", "text", "list", "brace", "yaml", "binary", "no context", "no such", "numbers"],
)
def test_rubbish_for_a_kubeconfig_is_refused(content: str, tmp_path: Path) -> None:
    """Whatever the loader raises, the user sees one line."""
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    assert str(path) in _wrong("--kubeconfig", kubeconfig=str(path))


def test_a_certificate_that_is_not_there_is_refused(server: ApiServer, tmp_path: Path) -> None:
    """Named in the kubeconfig, missing on the disk."""
    path = tmp_path / "kubeconfig"
    server.write_kubeconfig(path)
    path.write_text(
        path.read_text()
        .replace("http:", "https:")
        .replace("{server:", f"{{certificate-authority: {tmp_path}/ca.pem, server:")
    )
    assert "ca.pem" in _wrong("--kubeconfig", kubeconfig=str(path))


@pytest.mark.parametrize("url", ["", "http://", "ftp://x", "http://x:port"])
def test_an_api_server_address_that_is_none_is_refused(
    url: str, server: ApiServer, tmp_path: Path
) -> None:
    """No try could ever succeed, so none is made."""
    path = tmp_path / "kubeconfig"
    server.write_kubeconfig(path)
    path.write_text(path.read_text().replace(server.url, url))
    _wrong("--kubeconfig", kubeconfig=str(path))


def test_a_port_in_use_is_refused(kubeconfig: Path) -> None:
    """Two on one machine: the second says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        _refused("--listen", "--kubeconfig", str(kubeconfig), "--listen", listen)


def test_a_buffer_path_that_cannot_be_written_is_refused(kubeconfig: Path, tmp_path: Path) -> None:
    """The marker file has to go there."""
    (tmp_path / "file").touch()
    _refused(
        "--buffer-path",
        *("--kubeconfig", str(kubeconfig)),
        *("--buffer-path", f"{tmp_path}/file/buffer"),
    )


@pytest.mark.parametrize("place", ["missing/checkpoint", "."])
def test_a_checkpoint_place_that_cannot_be_written_is_refused(
    place: str, kubeconfig: Path, tmp_path: Path
) -> None:
    """Found at the start, not at the first write."""
    _wrong("--checkpoint", kubeconfig=str(kubeconfig), checkpoint=tmp_path / place)


def test_a_variable_is_named_where_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what was set, not the option that was not."""
    monkeypatch.setenv("EVENTROUTER_OLD_EVENT_CACHE", "plenty")
    assert cli.main([]) == 2
    line = capsys.readouterr().err
    assert line.startswith("eventrouter: EVENTROUTER_OLD_EVENT_CACHE: 'plenty'")
    assert line.count("\n") == 1


def _errors(process: Process) -> list[str]:
    lines = [orjson.loads(line) for line in process.log().splitlines()]
    return [line["message"] for line in lines if line["level"] in ("ERROR", "CRITICAL")]


def test_missing_rights_are_told_once_and_waited_for(
    cluster: Cluster, server: ApiServer, receiver: Receiver, kubeconfig: Path, tmp_path: Path
) -> None:
    """403: the line says what to grant, and the process goes on when it is granted."""
    server.denied = {"list", "watch"}
    cluster.create()
    process = Process(
        tmp_path,
        *("--kubeconfig", str(kubeconfig), "--forward", receiver.url),
        patches=_PATCHES,
    )
    with process:
        server.wait_for_requests(2)
        assert len(_errors(process)) == 1
        line = _errors(process)[0]
        assert "403" in line
        assert 'cannot list resource "events"' in line
        server.denied = set()
        receiver.wait_for_records(1)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_a_host_that_nobody_answers_at_is_told_once_and_waited_for(
    cluster: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    """The API server may come later than we do."""
    cluster.create()
    port = free_port()
    with ApiServer(cluster.store, port=port) as server:
        server.write_kubeconfig(tmp_path / "kubeconfig")
    process = Process(
        tmp_path,
        *("--kubeconfig", str(tmp_path / "kubeconfig"), "--forward", receiver.url),
        patches=_PATCHES,
    )
    with process:
        eventually(lambda: process.log_path.exists() and "cannot reach" in process.log())
        eventually(lambda: process.numbers()("errors", error_type="unreachable") >= 2)
        lines = _errors(process)
        assert len(lines) == 1
        assert f"127.0.0.1:{port}" in lines[0]
        with ApiServer(cluster.store, port=port):
            receiver.wait_for_records(1)
            process.signal(signal.SIGTERM)
            assert process.wait() == 0


def test_the_start_says_what_is_followed_and_where_it_goes(
    server: ApiServer, receiver: Receiver, kubeconfig: Path, tmp_path: Path
) -> None:
    """JSON lines on standard error, nothing secret in them."""
    server.write_kubeconfig(kubeconfig, token="very-secret")
    process = Process(
        tmp_path,
        *("--kubeconfig", str(kubeconfig), "--forward", receiver.url, "--log-level", "debug"),
        patches=_PATCHES,
    )
    with process:
        server.wait_for_watches(1)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0

    lines = [orjson.loads(line) for line in process.log().splitlines()]
    assert {"level", "logger", "message", "time"} <= lines[0].keys()
    assert server.url in process.log()
    assert receiver.url in process.log()
    assert "very-secret" not in process.log()
