"""The demo's sidecar: where Fluent Bit is told to write, and what stands in for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from eventrouter.demo.fluentbit import elasticsearch_variables
from eventrouter.demo.sidecar import start_sidecar
from eventrouter.errors import ConfigError, EventrouterError


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "path", "user", "password"),
    [
        ("http://127.0.0.1:9201", "127.0.0.1", "9201", "off", "", "", ""),
        ("http://search", "search", "9200", "off", "", "", ""),
        ("https://a:p%40ss@search/es/", "search", "443", "on", "/es", "a", "p@ss"),
    ],
)
def test_a_url_of_elasticsearch_becomes_fluent_bits_variables(
    url: str, host: str, port: str, tls: str, path: str, user: str, password: str
) -> None:
    assert elasticsearch_variables(url) == {
        "ES_HOST": host,
        "ES_PORT": port,
        "ES_PATH": path,
        "ES_USER": user,
        "ES_PASSWORD": password,
        "ES_TLS": tls,
    }


@pytest.mark.parametrize(
    "url",
    ["search:9200", "ftp://search", "http://", "http://search:port", "http://[search", ""],
)
def test_what_is_no_url_is_refused_by_the_name_of_its_option(url: str) -> None:
    with pytest.raises(ConfigError, match="--elasticsearch: "):
        elasticsearch_variables(url)


@pytest.mark.parametrize(
    "url", ["http://me:s3cret@search:port", "ftp://me:s3cret@search", "http://me:s3/cret@search"]
)
def test_a_password_in_a_refused_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        elasticsearch_variables(url)

    assert "s3" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_only_fluent_bit_writes_to_elasticsearch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLUENT_BIT", str(tmp_path / "missing"))

    with pytest.raises(ConfigError, match=r"--elasticsearch: .*Fluent Bit"):
        start_sidecar(
            elasticsearch="http://search", folder=tmp_path, show=print, stop=threading.Event()
        )


def test_a_program_that_does_not_start_is_told_behind_its_own_messages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "fluent-bit"
    program.write_text("#!/bin/sh\nprintf 'no such \\033[31mplugin\\n' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("FLUENT_BIT", str(program))

    sidecar = start_sidecar(elasticsearch=None, folder=tmp_path, show=print, stop=threading.Event())

    with pytest.raises(EventrouterError, match="did not start"):
        sidecar.wait_until_up()

    assert capsys.readouterr().err == "no such \\x1b[31mplugin\n"
