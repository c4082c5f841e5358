"""`eventrouter demo` and `make run`: a table on a terminal, lines of JSON everywhere else."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from eventrouter.demo.output import FORMATS
from eventrouter.demo.sidecar import find_fluent_bit
from tests.support.display import Display
from tests.support.processes import has_ended
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
DEMO = (sys.executable, "-m", "eventrouter", "demo")
JSON_LINES = (sys.executable, "-m", "json.tool", "--json-lines", "--compact")
HEADER = re.compile("(TIME .*)?OBJECT +REASON")
ROW = re.compile(r"\d\d:\d\d:\d\d (Normal |Warning) (ADDED|UPDATED) +\d+ [a-z]+/[a-z0-9-]+…? ")
SUMMARY = re.compile(r"captured +(\d+) .*sent +(\d+) .*acknowledged +(\d+) .*not sent +0 ", re.S)


STAND_IN = {"FLUENT_BIT": str(ROOT / "no-such-program")}


@pytest.fixture(params=["Fluent Bit", "stand-in"])
def sidecar(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The variables that choose a sidecar: the real one, and the one without it."""
    if request.param == "stand-in":
        return STAND_IN
    program = find_fluent_bit()
    if program is None:
        pytest.skip("no fluent-bit on the PATH, and FLUENT_BIT does not name one")
    return {"FLUENT_BIT": program}


def seen(terminal: Terminal) -> Display:
    display = Display()
    display.feed(terminal.output)
    return display


def rows(display: Display) -> list[str]:
    """The rows between the first header and the summary, without the headers."""
    start = next(at for at, text in enumerate(display.texts) if HEADER.match(text))
    end = display.texts.index("", start)
    return [text for text in display.texts[start:end] if not HEADER.match(text)]


def test_on_a_terminal_it_is_a_table_and_ctrl_c_ends_it_with_a_summary(
    sidecar: Mapping[str, str],
) -> None:
    """And no progress is left between the rows: Display raises where a line is written over."""
    with Terminal(DEMO, columns=100, environment=sidecar) as terminal:
        terminal.wait_for("UPDATED")
        terminal.wait_for(r"\d captured, \d+ sent, \d+ acknowledged  Ctrl-C stops")
        terminal.press_ctrl_c()
        code = terminal.wait()

    display = seen(terminal)
    found = rows(display)
    assert re.fullmatch(r"Status page: http://127\.0\.0\.1:\d+/", display.texts[0])
    counts = SUMMARY.search("\n".join(display.texts))
    assert code == 0
    assert not [row for row in found if not ROW.match(row)]
    assert max(map(len, found)) <= 100
    assert counts
    assert counts[1] == counts[2] == counts[3] == str(len(found))
    assert "\x1b[33mWarning\x1b[0m" in terminal.output
    assert not display.last


def test_the_status_page_is_elsewhere_if_somebody_has_its_port() -> None:
    with Terminal(DEMO, environment=STAND_IN) as first:
        first.wait_for("ADDED")
        with Terminal(DEMO, environment=STAND_IN) as second:
            second.wait_for("ADDED")
            address = r"Status page: (http://\S+)"
            pages = [re.findall(address, each.output)[0] for each in (first, second)]

    assert pages[0] != pages[1]


def test_a_resized_terminal_gets_a_header_and_rows_of_its_new_width() -> None:
    """Without colours, as NO_COLOR says."""
    with Terminal(DEMO, columns=100, environment=STAND_IN | {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("UPDATED")
        terminal.resize(39)
        terminal.wait_for(r"OBJECT +REASON *\r\n(.*\n){3}")
        terminal.press_ctrl_c()
        assert terminal.wait() == 0

    display = seen(terminal)
    narrow = next(at for at, text in enumerate(display.texts) if text.startswith("OBJECT "))
    assert max(map(len, display.texts[:narrow])) == 100
    assert max(map(len, display.texts[narrow : display.texts.index("", narrow)])) <= 39
    assert not re.search(r"\x1b\[\d*m", terminal.output)


def test_a_dumb_terminal_gets_rows_and_no_escape_sequence() -> None:
    with Terminal(DEMO, environment=STAND_IN | {"TERM": "dumb"}) as terminal:
        terminal.wait_for("UPDATED")
        terminal.press_ctrl_c()
        assert terminal.wait() == 0

    assert "\x1b" not in terminal.output
    assert "Ctrl-C stops" not in terminal.output
    assert SUMMARY.search("\n".join(seen(terminal).texts))


def test_in_a_pipe_every_line_is_json(sidecar: Mapping[str, str]) -> None:
    """json.tool fails at the first line that is none."""
    demo = subprocess.Popen(
        DEMO, env=os.environ | dict(sidecar), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    tool = subprocess.Popen(JSON_LINES, stdin=demo.stdout, stdout=subprocess.PIPE, text=True)
    assert demo.stdout
    assert demo.stderr
    assert tool.stdout
    demo.stdout.close()  # else the demo would not notice that json.tool is gone
    guard = threading.Timer(60, demo.kill)
    guard.start()
    with demo, tool:
        records = [json.loads(tool.stdout.readline())]
        demo.send_signal(signal.SIGINT)
        records += map(json.loads, tool.stdout)
        errors = demo.stderr.read().decode()
    guard.cancel()

    counts = SUMMARY.search(errors)
    assert errors.startswith("Status page: http://127.0.0.1:")
    assert (demo.returncode, tool.returncode) == (0, 0)
    assert {record["verb"] for record in records} <= {"ADDED", "UPDATED"}
    assert counts
    assert counts[3] == str(len(records))
    assert "\x1b" not in errors


@pytest.mark.parametrize("format", FORMATS)
def test_a_reader_that_leaves_ends_the_demo(sidecar: Mapping[str, str], format: str) -> None:
    demo = subprocess.Popen(
        (*DEMO, "--format", format),
        env=os.environ | dict(sidecar),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout
    assert demo.stderr
    with demo:
        demo.stdout.readline()
        demo.stdout.close()
        errors = demo.stderr.read()

    assert demo.returncode == 0
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_a_later_ctrl_c_ends_the_demo_at_once_and_fluent_bit_with_it(tmp_path: Path) -> None:
    """Two at once count as one: `timeout` of coreutils sends its signal twice."""
    program = find_fluent_bit()
    if program is None:
        pytest.skip("no fluent-bit on the PATH, and FLUENT_BIT does not name one")
    named = tmp_path / "fluent-bit"
    named.write_text(f'#!/bin/sh\necho $$ >{tmp_path}/pid\nexec {program} "$@"\n')
    named.chmod(0o755)
    with Terminal(DEMO, environment={"FLUENT_BIT": str(named)}) as terminal:
        terminal.wait_for("ADDED")
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)  # so that it cannot end by itself
        terminal.press_ctrl_c()
        terminal.press_ctrl_c()
        with pytest.raises(subprocess.TimeoutExpired):
            terminal.wait(timeout=1)
        terminal.press_ctrl_c()
        assert terminal.wait() == 1

    eventually(lambda: has_ended(pid))


def test_a_terminal_that_is_closed_ends_the_demo_and_its_sidecar() -> None:
    """Once the command has ended, nobody has the terminal open any more."""
    with Terminal(DEMO) as terminal:
        terminal.wait_for("ADDED")
        terminal.send_signal(signal.SIGHUP)
        assert terminal.wait() == 0

    assert SUMMARY.search("\n".join(seen(terminal).texts))


@pytest.fixture
def make() -> tuple[str, ...]:
    """The command `make run`. It must not set anything up here, nor take our own variables."""
    program = shutil.which("make")
    if program is None or not (ROOT / ".venv" / ".run").exists():
        pytest.skip("no make, or no .venv that it has set up")
    flags = ("-C", str(ROOT), "--no-print-directory", "--old-file=.venv/.run")
    return (program, *flags, "run", "ARGS=", "ELASTICSEARCH=")


def test_make_run_ends_with_a_summary_at_ctrl_c(make: tuple[str, ...]) -> None:
    with Terminal((*make, "FORMAT="), environment=STAND_IN) as terminal:
        terminal.wait_for("UPDATED")
        terminal.press_ctrl_c()
        assert terminal.wait() == 0

    assert rows(seen(terminal))


def test_make_run_format_json_prints_json_on_a_terminal_too(
    make: tuple[str, ...], sidecar: Mapping[str, str], tmp_path: Path
) -> None:
    """With standard error elsewhere, so that the terminal shows standard output alone."""
    errors = tmp_path / "errors"
    command = ("sh", "-c", f'exec "$@" 2>{errors}', "sh", *make, "FORMAT=json")
    with Terminal(command, environment=sidecar) as terminal:
        terminal.wait_for('"UPDATED"')
        terminal.press_ctrl_c()
        assert terminal.wait() == 0

    lines = terminal.output.replace("^C", "").splitlines()
    assert {json.loads(line)["verb"] for line in lines} == {"ADDED", "UPDATED"}
    assert SUMMARY.search(errors.read_text())
