"""The command line: what sets what, and a mistake told in one line with exit code 2."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventrouter import __version__, cli
from eventrouter.cli import OPTIONS
from eventrouter.config import Config, LeaseRef, Listen
from eventrouter.enrich.kinds import KNOWN
from eventrouter.errors import ConfigError
from eventrouter.process import EXIT_BAD_SETTING, stop_on_signal
from tests.support.processes import run_script

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-in-the-kubeconfig"
KUBECONFIG = f"""\
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:1"}}}}]
users: [{{name: me, user: {{token: {SECRET}}}}}]
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
"""

# Each option with a good text, its value, another good text, and a bad one where there is one.
SETTINGS: list[tuple[str, str, Any, str, str | None]] = [
    ("--kubeconfig", "/a", "/a", "/b", None),
    ("--namespace", "shop", ("shop",), "bank", "Shop!"),
    ("--field-selector", "type=Warning", "type=Warning", "type=Normal", None),
    ("--forward", "tcp://fluent:24224", "tcp://fluent:24224", "unix:///run/fluent", "24224"),
    ("--tag-prefix", "k8s", "k8s", "other", "k8s."),
    (
        "--checkpoint",
        "lease:logging/eventrouter",
        LeaseRef("logging", "eventrouter"),
        "none",
        "etcd",
    ),
    ("--buffer-path", "/buffers", Path("/buffers"), "/other", None),
    ("--cluster-name", "prod", "prod", "test", None),
    ("--old-event-cache", "2MiB", 2 * 2**20, "0", "lots"),
    ("--enrich", "Pod,ReplicaSet", (KNOWN["Pod"], KNOWN["ReplicaSet"]), "Node", "Secret"),
    ("--enrich-labels", "app,team", ("app", "team"), "*", "app/"),
    ("--enrich-annotations", "team", ("team",), "owner", "*"),
    ("--enrich-cache", "1MiB", 2**20, "64KiB", "-1"),
    ("--enrich-rate", "20", 20, "1", "0"),
    ("--count-events", "true", True, "false", "often"),
    ("--count-events-series", "500", 500, "10", "-1"),
    ("--setup-reports", "/a.json, /b", (Path("/a.json"), Path("/b")), "/c", ", "),
    ("--listen", "127.0.0.1:9000", Listen("127.0.0.1", 9000), ":1", "9000"),
    ("--log-level", "debug", "debug", "error", "loud"),
    ("--log-format", "text", "text", "json", "xml"),
]
BAD = [(flag, bad) for flag, _, _, _, bad in SETTINGS if bad is not None]
# The defaults as design and charts know them.
DEFAULTS = {
    "--kubeconfig": "in a pod: its service account; else KUBECONFIG, ~/.kube/config",
    "--namespace": "all namespaces",
    "--field-selector": "none",
    "--forward": "tcp://127.0.0.1:24224",
    "--tag-prefix": "kube.events",
    "--checkpoint": "in a pod: the Lease eventrouter; else none",
    "--buffer-path": "none",
    "--cluster-name": "none",
    "--old-event-cache": "16MiB",
    "--enrich": "none",
    "--enrich-labels": "none",
    "--enrich-annotations": "none",
    "--enrich-cache": "8MiB",
    "--enrich-rate": "50",
    "--count-events": "false",
    "--count-events-series": "2000",
    "--setup-reports": "none",
    "--listen": ":8080",
    "--log-level": "info",
    "--log-format": "json",
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that the tests run on sets anything."""
    for name in list(os.environ):
        if name.startswith(("EVENTROUTER_", "KUBE")):
            monkeypatch.delenv(name)


def variable_of(flag: str) -> str:
    return "EVENTROUTER_" + flag.removeprefix("--").replace("-", "_").upper()


def field_of(flag: str) -> str:
    return "namespaces" if flag == "--namespace" else flag.removeprefix("--").replace("-", "_")


def read(*words: str, **environment: str) -> Config:
    return cli.read_config(cli.parser().parse_args(words), environment)


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that the command has to say, after it ended with the code for it."""
    try:
        code: object = cli.main(words)
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    assert code == EXIT_BAD_SETTING == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return str(line)


# --- what sets what


def test_every_setting_is_in_these_tests() -> None:
    assert [flag for flag, *_ in SETTINGS] == [option.flag for option in OPTIONS] == list(DEFAULTS)


def test_without_options_all_is_as_config_has_it() -> None:
    settings = read()

    for flag in DEFAULTS:
        assert getattr(settings, field_of(flag)) == getattr(Config(), field_of(flag)), flag


@pytest.mark.parametrize(("flag", "text", "value", "other", "bad"), SETTINGS, ids=list(DEFAULTS))
def test_an_option_or_its_variable_sets_it_and_the_option_wins(
    flag: str, text: str, value: Any, other: str, bad: str | None
) -> None:
    field = field_of(flag)

    assert getattr(read(flag, text), field) == value
    assert getattr(read(**{variable_of(flag): text}), field) == value
    assert getattr(read(flag, text, **{variable_of(flag): other}), field) == value
    assert getattr(read(flag, other, **{variable_of(flag): text}), field) != value
    assert getattr(read(f"{flag}={text}", **{variable_of(flag): bad or other}), field) == value


@pytest.mark.parametrize("flag", list(DEFAULTS))
def test_an_empty_variable_is_as_good_as_none(flag: str) -> None:
    """Charts and shells set empty ones."""
    settings = read(**{variable_of(flag): ""})

    assert getattr(settings, field_of(flag)) == getattr(Config(), field_of(flag))


@pytest.mark.parametrize(
    ("words", "variable", "expected"),
    [
        (["--namespace", "a", "--namespace", "b"], "", ("a", "b")),
        (["--namespace", "b", "--namespace", "a", "--namespace", "b"], "", ("b", "a")),
        ([], "a,b", ("a", "b")),
        ([], " a, b ,,a", ("a", "b")),
        ([], "a b", ("a", "b")),
        (["--namespace", "c"], "a,b", ("c",)),
    ],
)
def test_namespaces_are_many(words: list[str], variable: str, expected: tuple[str, ...]) -> None:
    """Each once: two reflectors of one namespace would ship everything twice."""
    assert read(*words, EVENTROUTER_NAMESPACE=variable).namespaces == expected


def test_the_words_none_turn_settings_off() -> None:
    settings = read("--checkpoint", "none", "--buffer-path", "none")

    assert (settings.checkpoint, settings.buffer_path) == (None, None)


# --- mistakes


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--no-such-option"], "--no-such-option"),
        (["--forw=tcp://a:1"], "--forw"),
        (["--no-such-option", "value"], "--no-such-option"),
        (["--log-level"], "--log-level"),
        (["fly"], "fly"),
        (["run", "twice"], "twice"),
    ],
)
def test_a_word_that_it_does_not_know_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    line = mistake(capsys, *words)

    assert line.startswith("eventrouter: ")
    assert named in line
    assert "--help" in line


@pytest.mark.parametrize(("flag", "bad"), [item for item in BAD if item[0] != "--forward"])
def test_a_bad_option_is_told_by_its_name_and_text(
    capsys: pytest.CaptureFixture[str], flag: str, bad: str
) -> None:
    line = mistake(capsys, flag, bad)

    assert line.startswith(f"eventrouter: {flag}: ")
    assert bad in line


@pytest.mark.parametrize(("flag", "bad"), BAD)
def test_a_bad_variable_is_told_by_the_variables_name(flag: str, bad: str) -> None:
    """Whoever set it in a manifest has never seen the option."""
    with pytest.raises(ConfigError) as caught:
        read(**{variable_of(flag): bad})

    assert caught.value.setting == variable_of(flag)
    assert str(caught.value).startswith(f"{variable_of(flag)}: ")
    assert flag not in str(caught.value)


def test_a_bad_variable_ends_the_command_as_a_bad_option_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTROUTER_LISTEN", "here")

    assert mistake(capsys).startswith("eventrouter: EVENTROUTER_LISTEN: 'here' ")


@pytest.mark.usefixtures("own_logging")
def test_a_command_behind_options_is_that_command_or_a_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Never `run`, when it was the demo that was asked for."""
    line = mistake(capsys, "--kubeconfig", str(tmp_path / "missing"), "demo")

    assert "demo" in line


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(KUBECONFIG + "}", id="no YAML"),
        pytest.param(SECRET, id="no mapping"),
        pytest.param(KUBECONFIG.replace("current-context: here", ""), id="no context"),
    ],
)
@pytest.mark.usefixtures("own_logging")
def test_a_bad_kubeconfig_is_told_without_what_is_in_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)

    line = mistake(capsys, "--kubeconfig", str(path))

    assert line.startswith("eventrouter: --kubeconfig: ")
    assert SECRET not in line


@pytest.mark.parametrize("flag", ["--enrich-labels", "--enrich-annotations"])
def test_keys_without_kinds_are_a_mistake(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    line = mistake(capsys, flag, "app")

    assert line.startswith(f"eventrouter: {flag}: needs --enrich")


# --- the help


@pytest.fixture
def help_text(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])

    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("flag", "default"), DEFAULTS.items(), ids=list(DEFAULTS))
def test_the_help_lists_every_option_with_its_default(
    help_text: str, flag: str, default: str
) -> None:
    (entry,) = re.findall(rf"^  {flag} .*(?:\n {{4,}}.*)*", help_text, re.MULTILINE)

    assert " ".join(entry.split()).endswith(f"({default})")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_the_default_in_the_help_is_the_default(option: Any) -> None:
    """As far as it is a value that could be given, and no description of one."""
    shown = DEFAULTS[option.flag]
    value = getattr(Config(), field_of(option.flag))

    if value in (None, ()):
        assert re.search(r"\bnone$|^all\b|^in a pod", shown)
    else:
        assert option.parse(shown) == value


def test_the_help_tells_the_variables_the_commands_and_the_exit_codes(help_text: str) -> None:
    flat = " ".join(help_text.split())

    assert "EVENTROUTER_FORWARD" in flat
    assert re.search(r"Exit codes: 0 .* 2 .* 1 ", flat)
    for command in ("run", "demo"):
        assert re.search(rf"^  {command} ", help_text, re.MULTILINE)
    assert max(map(len, help_text.splitlines())) <= 100


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])

    assert end.value.code == 0
    assert capsys.readouterr().out == f"eventrouter {__version__}\n"


# --- signals


@pytest.fixture
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop(number: signal.Signals) -> None:
    stop = stop_on_signal()
    assert not stop.is_set()

    os.kill(os.getpid(), number)

    assert stop.wait(10)


# --- the command itself


def command(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "eventrouter", *words],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it did not end: {err}")
    return process.returncode, out, err


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    return str(path)


@pytest.mark.parametrize("url", ["24224", "tcp://127.0.0.1"])
def test_a_bad_forward_url_is_told(kubeconfig: str, url: str) -> None:
    process = command("--kubeconfig", kubeconfig, "--forward", url, "--listen", "127.0.0.1:0")

    code, out, err = outcome(process)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("eventrouter: --forward: ")
    assert url in err


@pytest.mark.parametrize("url", ["tcp://user:s3cret@fluent:24224", "tcp://s3cret@fluent:1"])
def test_a_login_in_the_forward_url_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """The link has no login, and its URL is logged: a secret in it would be shown."""
    assert cli.main(["--forward", url]) == 2

    err = capsys.readouterr().err
    assert "--forward" in err
    assert "s3cret" not in err


def test_a_variable_with_no_namespace_in_it_is_not_all_namespaces() -> None:
    with pytest.raises(ConfigError, match="EVENTROUTER_NAMESPACE"):
        cli.read_config(cli.parser().parse_args([]), {"EVENTROUTER_NAMESPACE": " , "})


def test_an_empty_option_is_a_mistake_and_an_empty_variable_is_not_set() -> None:
    assert cli.read_config(cli.parser().parse_args([]), {"EVENTROUTER_FORWARD": ""}).forward
    with pytest.raises(ConfigError, match="--forward"):
        cli.read_config(cli.parser().parse_args(["--forward", ""]), {})


def test_a_second_signal_ends_it_at_once() -> None:
    """Whatever the clean stop is still waiting for."""
    script = (
        "import os, signal\n"
        "from eventrouter.process import stop_on_signal\n"
        "stop_on_signal()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('stopping', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('still here', flush=True)\n"
    )

    result = run_script(script)

    assert (result.returncode, result.stdout) == (1, "stopping\n")


def test_a_signal_may_come_while_the_stop_s_own_lock_is_held() -> None:
    """As the main thread begins to wait. A handler runs in that thread."""
    script = (
        "import os, signal\n"
        "from eventrouter.process import stop_on_signal\n"
        "stop = stop_on_signal()\n"
        "with stop._cond:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(stop.wait(10))\n"
    )

    result = run_script(script)

    assert (result.returncode, result.stdout) == (0, "True\n")


def test_without_api_server_and_sidecar_it_says_so_keeps_its_secrets_and_stops_cleanly(
    kubeconfig: str,
) -> None:
    """Their outage is not ours: exit code 0, each line of the log is JSON, no token in any."""
    process = command(
        *("--kubeconfig", kubeconfig, "--forward", "tcp://127.0.0.1:1"),
        *("--listen", "127.0.0.1:0", "--log-level", "debug"),
    )
    guard = threading.Timer(30, process.kill)
    guard.start()
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if sum("trying again" in told for told in lines) == 2:
            break

    process.terminate()
    code, out, err = outcome(process)
    guard.cancel()

    told = [json.loads(line) for line in (*lines, *err.splitlines())]
    assert (code, out) == (0, "")
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in told)
    assert {line["logger"] for line in told if line["level"] == "ERROR"} == {
        "eventrouter.forward.sender",
        "eventrouter.capture.retry",
    }
    assert SECRET not in "".join(lines) + err
