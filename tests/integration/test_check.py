"""`eventrouter check`: what it says of the sidecar and its buffer, without touching them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eventrouter import check as check_module
from eventrouter.check import check
from eventrouter.config import Config
from eventrouter.ops.finding import Finding
from eventrouter.standins.receiver.receiver import Receiver
from tests.support.chunks import chunk_file, put_chunk


def _found(link: str, kubeconfig: Path, **settings: object) -> Finding:
    """The finding about one link."""
    findings = check(Config(kubeconfig=str(kubeconfig), **settings))  # type: ignore[arg-type]
    return next(finding for finding in findings if finding.link == link)


def _chunk(folder: Path, *, age_seconds: float) -> Path:
    return put_chunk(folder / f"7-{int(time.time() - age_seconds)}.5.flb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the forward input under a Fluent Bit's storage.path."""
    path = tmp_path / "buffer" / "forward.0"
    path.mkdir(parents=True)
    return path


def test_a_sidecar_that_acknowledges_gets_an_empty_chunk(
    kubeconfig: Path, receiver: Receiver
) -> None:
    finding = _found("sidecar", kubeconfig, forward=receiver.url)

    assert finding == Finding("sidecar", True, f"acknowledges at {receiver.url}")
    assert [frame.entries for frame in receiver.frames] == [[]]


def test_a_sidecar_that_takes_connections_and_acknowledges_nothing_is_found(
    kubeconfig: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a Fluent Bit does whose input is paused."""
    monkeypatch.setattr(check_module, "_SECONDS", 0.1)
    receiver.faults.hold_acks()

    finding = _found("sidecar", kubeconfig, forward=receiver.url)

    assert not finding.is_good
    assert "takes connections, but: no ack within" in finding.what


def test_a_buffer_where_nothing_waits(kubeconfig: Path, folder: Path) -> None:
    finding = _found("buffer", kubeconfig, buffer_path=folder.parent)

    assert finding == Finding("buffer", True, f"{folder.parent} is Fluent Bit's; no chunk waits")
    assert list(folder.parent.iterdir()) == [folder]


def test_what_waits_in_the_buffer_is_told(kubeconfig: Path, folder: Path) -> None:
    """Chunks of a few seconds are everyday business."""
    chunk = _chunk(folder, age_seconds=30)
    (folder / "7-1000000000.1.flb").write_bytes(chunk_file())  # a full disk leaves such ones

    finding = _found("buffer", kubeconfig, buffer_path=folder.parent)

    assert finding.is_good
    assert "1 chunk waits, the oldest for 3" in finding.what
    assert finding.what.endswith(f"forward.0/{chunk.name}")


def test_a_chunk_that_has_waited_for_long_is_a_fault(kubeconfig: Path, folder: Path) -> None:
    """An output does not take it: its tag says which ones it can be."""
    _chunk(folder, age_seconds=7200)
    _chunk(folder, age_seconds=10)

    finding = _found("buffer", kubeconfig, buffer_path=folder.parent)

    assert not finding.is_good
    assert "2 chunks wait, the oldest for 2 h" in finding.what
    assert "tag kube.events.normal" in finding.what


def test_what_waits_for_optional_outputs_is_told_and_no_fault(
    kubeconfig: Path, folder: Path
) -> None:
    """They may be down: that is what optional means."""
    (folder.parent / "forward.1").mkdir()
    _chunk(folder.parent / "forward.1", age_seconds=7200)

    finding = _found("buffer", kubeconfig, buffer_path=folder.parent)

    assert finding.is_good
    assert "no chunk waits; for optional outputs 1 chunk waits, the oldest for 2 h" in finding.what


def test_a_folder_that_is_not_fluent_bit_s_is_a_fault(kubeconfig: Path, tmp_path: Path) -> None:
    finding = _found("buffer", kubeconfig, buffer_path=tmp_path)

    assert not finding.is_good
    assert "forward.0" in finding.what
    assert "storage.path" in finding.what
