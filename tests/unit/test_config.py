"""Each setting is read from text as its help says, or refused with a word on what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventrouter import config
from eventrouter.config import LeaseRef, Listen
from eventrouter.errors import ConfigError
from tests.support.values import texts

UNITS = {
    "": 1,
    "K": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
}
PARSERS: list[Callable[[str], Any]] = [
    config.parse_size,
    config.parse_listen,
    config.parse_checkpoint,
    config.parse_namespace,
    config.parse_tag_prefix,
    config.parse_path_or_none,
    config.parse_text,
    config.one_of("json", "text"),
]


@given(
    st.sampled_from(PARSERS), texts | st.text(alphabet="0123456789:/.[]KMGiB-_anone", max_size=9)
)
def test_any_text_has_a_value_or_is_refused_with_a_reason(
    parse: Callable[[str], Any], text: str
) -> None:
    reason = None
    try:
        parse(text)
    except ValueError as error:
        reason = str(error)

    assert reason is None or (reason and "\n" not in reason)


@given(
    st.integers(0, 10**12),
    st.sampled_from(list(UNITS)),
    st.sampled_from(["", " "]),
    st.sampled_from(["", "B"]),
)
def test_a_size_is_a_number_of_bytes_with_a_unit(
    number: int, unit: str, space: str, suffix: str
) -> None:
    assert config.parse_size(f"{number}{space}{unit}{suffix}") == number * UNITS[unit]


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "1.5Gi", "16mib", "1T", "1KM", "0x10", "1 2", "16MiBB", "1iB", "1e6"]
)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        config.parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8080", Listen("", 8080)),
        (":0", Listen("", 0)),
        (":65535", Listen("", 65535)),
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080)),
        ("localhost:80", Listen("localhost", 80)),
        ("[::1]:8080", Listen("::1", 8080)),
        ("[::]:8080", Listen("::", 8080)),
    ],
)
def test_a_listening_address_is_a_host_and_a_port(text: str, expected: Listen) -> None:
    assert config.parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", "8080", ":", ":http", ":65536", ":-1", ":+1", ": 80", "127.0.0.1", ":8080/", ":8²"]
)
def test_anything_else_is_no_listening_address(text: str) -> None:
    with pytest.raises(ValueError, match="PORT"):
        config.parse_listen(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("file:/var/lib/checkpoint", Path("/var/lib/checkpoint")),
        ("file:checkpoint", Path("checkpoint")),
        ("file:a:b", Path("a:b")),
        ("lease:logging/eventrouter", LeaseRef("logging", "eventrouter")),
        ("lease:a/b.c-1", LeaseRef("a", "b.c-1")),
    ],
)
def test_a_checkpoint_is_a_lease_a_file_or_none(text: str, expected: object) -> None:
    assert config.parse_checkpoint(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "None",
        "file:",
        "file",
        "/var/lib/checkpoint",
        "lease:",
        "lease:eventrouter",
        "lease:/eventrouter",
        "lease:logging/",
        "lease:Logging/eventrouter",
        "lease:logging/a/b",
        "lease:logging/../x",
        "lease:logging/Event Router",
        "configmap:logging/eventrouter",
    ],
)
def test_anything_else_is_no_checkpoint(text: str) -> None:
    """A Lease's name becomes part of a URL, so it has to be one."""
    with pytest.raises(ValueError, match="lease:NAMESPACE/NAME, file:PATH or none"):
        config.parse_checkpoint(text)


@pytest.mark.parametrize("text", ["a", "kube-system", "0", "a" * 63])
def test_a_namespace_is_a_dns_label(text: str) -> None:
    assert config.parse_namespace(text) == text


@pytest.mark.parametrize(
    "text", ["", "A", "a_b", "-a", "a-", "a.b", "a/b", "a,b", "ä", "a" * 64, "a\n"]
)
def test_anything_else_is_no_namespace(text: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        config.parse_namespace(text)


@pytest.mark.parametrize("text", ["kube.events", "a", "A_1-b.c"])
def test_a_tag_prefix_is_the_beginning_of_a_tag(text: str) -> None:
    assert config.parse_tag_prefix(text) == text


@pytest.mark.parametrize(
    "text", ["", ".", "kube.", ".kube", "a..b", "a b", "a*", "kube.events\n", "ä"]
)
def test_anything_else_is_no_tag_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        config.parse_tag_prefix(text)


def test_a_path_is_any_but_the_word_none() -> None:
    assert config.parse_path_or_none("none") is None
    assert config.parse_path_or_none("./none") == Path("none")
    assert config.parse_path_or_none("/buffers") == Path("/buffers")
    with pytest.raises(ValueError, match="empty"):
        config.parse_path_or_none("")


def test_a_text_is_anything_but_nothing() -> None:
    assert config.parse_text(" ä ") == " ä "
    with pytest.raises(ValueError, match="empty"):
        config.parse_text("")


def test_a_text_that_cannot_be_sent_is_refused() -> None:
    """What Python makes of a variable that is not UTF-8; no record and no URL could hold it."""
    with pytest.raises(ValueError):
        config.parse_text("prod-\udcff")


def test_one_of_some_words_is_exactly_one_of_them() -> None:
    parse = config.one_of("json", "text")

    assert (parse("json"), parse("text")) == ("json", "text")
    for text in ("", "JSON", "xml", "json, text"):
        with pytest.raises(ValueError, match="json, text"):
            parse(text)


def test_a_refused_value_is_told_with_its_setting_in_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        config.checked("--namespace", "two\nlines", config.parse_namespace)

    assert caught.value.setting == "--namespace"
    assert str(caught.value).startswith("--namespace: ")
    assert "\n" not in str(caught.value)


def test_a_good_value_is_handed_through() -> None:
    assert config.checked("--old-event-cache", "2K", config.parse_size) == 2000


# --- what depends on where it runs

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_in_a_pod_the_checkpoint_is_a_lease_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "namespace").write_text("logging\n")
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path)

    assert config.in_cluster(IN_A_POD)
    assert config.default_checkpoint(IN_A_POD) == LeaseRef("logging", "eventrouter")


def test_outside_a_pod_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "namespace").write_text("logging")
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path)

    assert not config.in_cluster({})
    assert config.default_checkpoint({}) is None
    assert config.default_checkpoint({"KUBERNETES_SERVICE_HOST": ""}) is None


def test_in_a_pod_without_a_service_account_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path)

    assert config.default_checkpoint(IN_A_POD) is None


def test_a_restarted_container_has_the_identity_it_had() -> None:
    """And takes its own lease at once; another pod of the same name does not."""
    pod = {"EVENTROUTER_POD_NAME": "eventrouter-0", "EVENTROUTER_POD_UID": "uid-1"}

    assert config.identity(pod) == config.identity(dict(pod))
    assert config.identity(pod) != config.identity(pod | {"EVENTROUTER_POD_UID": "uid-2"})
    assert config.identity(pod) != config.identity(pod | {"EVENTROUTER_POD_NAME": "eventrouter-1"})


@pytest.mark.parametrize(
    "environment", [{}, {"EVENTROUTER_POD_NAME": "eventrouter-0"}, {"EVENTROUTER_POD_UID": "uid-1"}]
)
def test_what_is_no_pod_is_somebody_else_each_time(environment: dict[str, str]) -> None:
    """Two on one machine must not take each other's lease for their own."""
    assert config.identity(environment) != config.identity(environment)
