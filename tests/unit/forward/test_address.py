"""The address of the receiver."""

from __future__ import annotations

import pytest

from eventrouter.forward.connection import Address


@pytest.mark.parametrize(
    "url",
    [
        "tcp://fluent-bit..svc:24224",
        f"tcp://{'x' * 64}:24224",
        "tcp://fluent-bit",
        "tcp://fluent-bit:24224/path",
        "tcp://user@fluent-bit:24224",
        "unix://path",
        "udp://fluent-bit:24224",
    ],
)
def test_what_no_connection_could_go_to_is_refused(url: str) -> None:
    """Before it ends the sender's thread."""
    with pytest.raises(ValueError, match=r"host|HOST|login"):
        Address.parse(url)


@pytest.mark.parametrize("url", ["tcp://fluent-bit:24224", "tcp://[::1]:24224", "tcp://bücher:1"])
def test_a_host_is_a_name_or_an_address(url: str) -> None:
    assert Address.parse(url).port
