"""`eventrouter demo`: run the watcher and a sidecar without a cluster, for a person to watch.

Standard output shows the records: as a table on a terminal, below the status page's address;
otherwise as the lines of JSON that `kubectl logs` of the sidecar would show. Everything else goes
to standard error.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from eventrouter.app import App
from eventrouter.clock import Clock, SystemClock
from eventrouter.config import Config, Listen
from eventrouter.demo.output import FORMATS, Output, open_output
from eventrouter.demo.scenario import play
from eventrouter.demo.sidecar import Sidecar, start_sidecar
from eventrouter.demo.summary import progress, summary
from eventrouter.errors import ConfigError, EventrouterError
from eventrouter.ops import logs
from eventrouter.process import EXIT_BAD_SETTING, EXIT_FAILED, EXIT_OK, Parser
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.store import EventStore

_DESCRIPTION = """\
Run the watcher without a cluster: a built-in stand-in for the API server plays the events of a
small cluster, and a sidecar prints them. If fluent-bit is on your PATH, it is the sidecar;
otherwise a built-in receiver is. Ctrl-C stops the demo and prints a summary."""
_EPILOG = """\
The table adapts to the width of your terminal and has colours unless NO_COLOR is set.
FLUENT_BIT names a fluent-bit that is not on your PATH."""

_HOST = "127.0.0.1"
_PORT = 8080  # as `eventrouter run` has it
_PROGRESS_SECONDS = 1.0
# coreutils' timeout sends its signal to the process, and then to the process's group.
_SAME_SIGNAL_SECONDS = 0.5


def main(argv: Sequence[str], stop: threading.Event) -> int:
    """Run until `stop` is set, then return the exit code."""
    arguments = _parser().parse_args(argv)
    with open_output(arguments.format, os.environ) as output:
        # Between the rows of a table, only trouble is worth a line.
        level = arguments.log_level or ("warning" if output.format == "table" else "info")
        logs.set_up(level=level, log_format="text")
        try:
            return _run(arguments, output, stop)
        except ConfigError as error:
            print(f"eventrouter demo: {error}", file=sys.stderr)
            return EXIT_BAD_SETTING
        except EventrouterError as error:
            print(f"eventrouter demo: {error}", file=sys.stderr)
            return EXIT_FAILED


def _parser() -> Parser:
    parser = Parser(
        prog="eventrouter demo",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=32, width=100
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="how to print the records (a table on a terminal, json otherwise)",
    )
    parser.add_argument(
        "--kubeconfig", metavar="PATH", help="follow this real cluster instead of the stand-in"
    )
    parser.add_argument(
        "--elasticsearch",
        metavar="URL",
        help="have Fluent Bit write there as well: http(s)://[USER:PASSWORD@]HOST[:PORT][/PATH]",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="play other events; the same seed plays the same (1)"
    )
    parser.add_argument(
        "--log-level",
        choices=logs.LEVELS,
        help="of the watcher's own logs (info; warning beside a table)",
    )
    return parser


def _run(arguments: argparse.Namespace, output: Output, stop: threading.Event) -> int:
    clock = SystemClock()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eventrouter-demo-")))
        sidecar = start_sidecar(
            elasticsearch=arguments.elasticsearch,
            folder=folder,
            show=output.show,
            stop=stop,
        )
        stack.callback(_close_stdout)
        stack.callback(output.progress, "")
        stack.callback(sidecar.stop)
        _obey_signals(stop, sidecar, clock)
        sidecar.wait_until_up()
        kubeconfig = arguments.kubeconfig or _start_cluster(stack, folder, seed=arguments.seed)
        app = _app(
            Config(
                kubeconfig=kubeconfig,
                forward=sidecar.url,
                checkpoint=folder / "checkpoint.json",
                buffer_path=sidecar.buffer_path,
            )
        )
        address = f"http://{_HOST}:{app.http.port}/"
        output.announce(f"Status page: {address}")
        for name, text in (
            ("Source", arguments.kubeconfig or "a built-in stand-in for a small cluster"),
            ("Sidecar", sidecar.name),
            ("Metrics", f"{address}metrics"),
            ("Stop", "Ctrl-C"),
        ):
            print(f"{name}: {text}", file=sys.stderr)
        started = clock.monotonic()
        app.start(on_failure=stop.set)
        while not stop.wait(_PROGRESS_SECONDS):
            output.progress(progress(app.metrics, seconds=clock.monotonic() - started))
        output.progress("Stopping: the sidecar prints what it has taken")
        is_clean = app.stop()
    print(summary(app.metrics), file=sys.stderr)
    return EXIT_OK if is_clean else EXIT_FAILED


def _obey_signals(stop: threading.Event, sidecar: Sidecar, clock: Clock) -> None:
    """Have the first signal stop the demo, and a later one end it at once, with its sidecar.

    SIGHUP too: a terminal that is closed must not leave Fluent Bit running.
    """
    first: list[float] = []

    def handle(number: int, frame: object) -> None:
        first.append(clock.monotonic())
        if stop.is_set() and first[-1] - first[0] > _SAME_SIGNAL_SECONDS:
            sidecar.kill()
            os._exit(EXIT_FAILED)
        stop.set()

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, handle)


def _start_cluster(stack: ExitStack, folder: Path, *, seed: int) -> str:
    """Start the stand-in for the API server, and play events to it. Returns its kubeconfig."""
    store = EventStore()
    stop = threading.Event()
    kubeconfig = folder / "kubeconfig"
    server = stack.enter_context(ApiServer(store))
    server.write_kubeconfig(kubeconfig)
    player = threading.Thread(
        target=play, args=(store,), kwargs={"chance": random.Random(seed), "stop": stop}
    )
    player.start()
    stack.callback(player.join)
    stack.callback(stop.set)
    return str(kubeconfig)


def _app(settings: Config) -> App:
    """The watcher at the usual port, or at any other if somebody has it."""
    try:
        return App(replace(settings, listen=Listen(_HOST, _PORT)))
    except ConfigError as error:
        if error.setting != "--listen":
            raise
        return App(replace(settings, listen=Listen(_HOST, 0)))


def _close_stdout() -> None:
    """Flush, and drop the stream if its reader is gone: Python would complain about it at exit."""
    with suppress(OSError):
        sys.stdout.flush()
        return
    sys.stdout = None
