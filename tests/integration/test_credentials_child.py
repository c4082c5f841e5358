"""The child that reads the credentials, as the system sees it: secrets, files, ends."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.client import port_of
from tests.integration.cluster import Cluster
from tests.integration.process import ROOT, Process, clean_environment, run
from tests.support.authority import Authority, inline
from tests.support.fronts import TlsFront
from tests.support.kubeconfig import exec_credential, write_exec_plugin, write_kubeconfig
from tests.support.processes import has_ended
from tests.support.waiting import eventually

SECRET = "s3cr3t"
TRUNK = {"eventrouter.pipeline.DRAIN_SECONDS": 0.3, "eventrouter.pipeline.DELIVERY_SECONDS": 0.1}


def test_the_process_that_forwards_all_day_never_holds_the_kubernetes_package(
    cluster: Cluster, server: ApiServer, receiver: Receiver, kubeconfig: Path
) -> None:
    """20 MiB of it. The watcher, from its start to an acknowledged event and a clean stop."""
    script = (
        "import sys, threading\n"
        "from eventrouter.app import App\n"
        "from eventrouter.config import Config, Listen\n"
        "import eventrouter.check\n"
        "app = App(Config(kubeconfig=sys.argv[1], forward=sys.argv[2],"
        " listen=Listen('127.0.0.1', 0)))\n"
        "app.start(on_failure=lambda: None)\n"
        "sys.stdin.read()\n"
        "assert app.stop()\n"
        "print(sorted(name for name in sys.modules if name.startswith('kubernetes')))\n"
    )
    cluster.create()
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(kubeconfig), receiver.url],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    receiver.wait_for_records(1)

    assert process.communicate("", timeout=30)[0] == "[]\n"


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ({"exec": {"command": "/bin/false", "apiVersion": "v1"}}, "process returned 1"),
        ("rubbish", ""),
    ],
    ids=["plugin fails", "broken"],
)
def test_what_cannot_be_used_ends_the_start_with_one_line(
    user: dict[str, object], reason: str, tmp_path: Path
) -> None:
    """Exit code 2, before any connection."""
    path = write_kubeconfig(
        tmp_path / "config", cluster={"server": "http://127.0.0.1:1"}, user=user
    )

    result = run("--kubeconfig", str(path))

    assert result.returncode == 2
    assert result.stderr.startswith(f"eventrouter: --kubeconfig: cannot use {path}: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_secret_is_in_no_argument_environment_log_or_file(
    authority: Authority, server: ApiServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Neither of the watcher nor of the child, which an exec plugin has for its parent."""
    seen = tmp_path / "seen"
    jane = authority.client("jane")
    answer = exec_credential(
        token=SECRET,
        clientCertificateData=jane.cert.read_text(),
        clientKeyData=jane.key.read_text(),
    )
    (tmp_path / "answer").write_text(answer)
    user = write_exec_plugin(
        tmp_path / "plugin",
        f"cat /proc/$PPID/cmdline /proc/$PPID/environ > {seen}; cat {tmp_path}/answer",
    )
    user |= {"client-certificate-data": inline(jane.cert), "client-key-data": inline(jane.key)}
    path = write_kubeconfig(tmp_path / "config", cluster={"server": server.url}, user=user)
    options = ("--kubeconfig", str(path), "--forward", receiver.url, "--log-level", "debug")
    with Process(tmp_path, *options, patches=TRUNK) as process:
        server.wait_for_watches(1)
        own = Path(f"/proc/{process.process.pid}")
        shown = seen.read_bytes() + (own / "cmdline").read_bytes() + (own / "environ").read_bytes()
        process.signal(signal.SIGTERM)
        assert process.wait() == 0

    assert b"credentials_loader" in shown
    key = inline(jane.key)
    for text in (shown.decode(), process.log()):
        assert SECRET not in text
        assert key not in text
        assert "PRIVATE KEY" not in text


def test_a_plugin_that_fails_at_a_terminal_says_why_there(tmp_path: Path) -> None:
    """It may ask a person there, so its words do not come through the child."""
    user = write_exec_plugin(tmp_path / "plugin", "echo 'log in first' >&2; exit 3")
    path = write_kubeconfig(
        tmp_path / "config", cluster={"server": "http://127.0.0.1:1"}, user=user
    )
    terminal, theirs = pty.openpty()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "eventrouter", "--kubeconfig", str(path)],
            cwd=ROOT,
            env=clean_environment(),
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(terminal)

    told = f"cannot use {path}: the exec plugin failed; what it said is above"
    assert ended.returncode == 2
    assert ended.stderr == f"log in first\neventrouter: --kubeconfig: {told}\n"


def test_a_container_s_first_process_leaves_no_zombie_of_a_plugin_that_hung(tmp_path: Path) -> None:
    """The plugin, killed with the child, is then its own to collect."""
    has_run = tmp_path / "has-run"
    user = write_exec_plugin(tmp_path / "plugin", f"touch {has_run}; sleep 1000 & sleep 1000")
    path = write_kubeconfig(
        tmp_path / "config", cluster={"server": "http://127.0.0.1:1"}, user=user
    )
    script = (
        "import ctypes, os, pathlib, sys\n"
        "from eventrouter.kube import credentials\n"
        "become_subreaper = 36\n"
        "assert ctypes.CDLL(None).prctl(become_subreaper, 1, 0, 0, 0) == 0\n"
        "credentials.CHILD_SECONDS = 10.0\n"
        "print(credentials.ask_child(sys.argv[1]).problem)\n"
        "children = pathlib.Path(f'/proc/self/task/{os.getpid()}/children')\n"
        "print(children.read_text().split())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    problem, children = ended.stdout.splitlines()
    assert has_run.exists()
    assert problem.startswith("no answer in 10 s")
    assert children == "[]"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_child_and_its_plugin_end_with_the_watcher(
    number: signal.Signals, server: ApiServer, tmp_path: Path
) -> None:
    """However it ends, and at once: nothing of it stays behind."""
    pids = tmp_path / "pids"
    user = write_exec_plugin(
        tmp_path / "plugin", f"echo $PPID $$ > {pids}.new; mv {pids}.new {pids}; exec sleep 1000"
    )
    path = write_kubeconfig(tmp_path / "config", cluster={"server": server.url}, user=user)
    with Process(tmp_path, "--kubeconfig", str(path)) as process:
        eventually(pids.exists)
        process.signal(number)
        assert process.wait() == (-number if number is signal.SIGKILL else 0)

        for pid in map(int, pids.read_text().split()):
            eventually(partial(has_ended, pid))


def read_only(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing is writable but /dev/shm, as in a pod with a read-only root."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("REAL PART MISSING: unshare: install util-linux")
    script = (
        # Where /tmp cannot be made read-only it is hidden: so the folder is seen elsewhere.
        f"mount --bind {folder} /mnt || exit 99\n"
        "for place in /tmp /var/tmp; do\n"
        "mount --bind $place $place && mount -o remount,bind,ro $place 2>/dev/null"
        " || mount -t tmpfs -o ro none $place || exit 99\n"
        "done\n"
        "mount -t tmpfs none /dev/shm && mount -o remount,bind,ro / || exit 99\n"
        "cd /proc\n"
        'exec "$@"'
    )
    result = subprocess.run(
        [unshare, "--map-root-user", "--mount", "sh", "-c", script, "sh", *command],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if result.returncode == 99 or "unshare:" in result.stderr:
        pytest.skip(f"no namespace of mounts can be had: {result.stderr}")
    return result


def test_certificates_inline_need_no_writable_disk(
    authority: Authority, server: ApiServer, tmp_path: Path
) -> None:
    """The package writes them to files, which are in memory and gone with the child."""
    jane = authority.client("jane")
    user = {"client-certificate-data": inline(jane.cert), "client-key-data": inline(jane.key)}
    certificate = authority.server("IP:127.0.0.1")
    with TlsFront(port_of(server), certificate, client_ca=authority.file) as front:
        cluster = {"server": front.url, "certificate-authority-data": inline(authority.file)}
        write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)
        result = read_only(
            tmp_path,
            *("sh", "-c", 'touch /tmp/x /x ./x; "$@"; ls -A /dev/shm', "sh"),
            *(sys.executable, "-m", "eventrouter", "check", "--kubeconfig", "/mnt/config"),
        )

        assert front.clients[:1] == ["jane"]
    assert "Read-only file system" in result.stderr
    assert "kubeconfig" not in result.stderr
    links = [line.split(maxsplit=1)[1].partition(":")[0] for line in result.stdout.splitlines()]
    assert links == ["events of all namespaces", "sidecar"]  # and no file is left
