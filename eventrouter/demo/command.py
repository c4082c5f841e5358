"""`eventrouter demo`: the pair at work without a cluster, for a person to watch.

Standard output is what `kubectl logs` of the sidecar would show, and nothing else. What the pair is
doing comes on standard error.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from eventrouter.app import App
from eventrouter.config import Config, Listen
from eventrouter.demo.scenario import play
from eventrouter.demo.sidecar import start_sidecar
from eventrouter.errors import ConfigError, EventrouterError
from eventrouter.ops import logs
from eventrouter.ops.metrics import Metrics
from eventrouter.process import EXIT_BAD_SETTING, EXIT_FAILED, EXIT_OK, Parser
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.store import EventStore

log = logging.getLogger(__name__)

_DESCRIPTION = """\
Runs the watcher against an embedded stand-in for the API server, which plays the events of a small
cluster, and a sidecar that prints them: Fluent Bit where it is on the PATH, else an embedded
receiver. Ctrl-C ends it and sums up."""


def main(argv: Sequence[str], stop: threading.Event) -> int:
    """Run until `stop` is set. The exit code."""
    arguments = _parser().parse_args(argv)
    logs.set_up(level=arguments.log_level, log_format="text")
    try:
        return _run(arguments, stop)
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
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--kubeconfig", metavar="PATH", help="follow this real cluster instead of the stand-in"
    )
    parser.add_argument(
        "--elasticsearch",
        metavar="URL",
        help="have Fluent Bit write there as well: http(s)://[USER:PASSWORD@]HOST[:PORT]",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the events that are played (1)")
    parser.add_argument(
        "--log-level", choices=logs.LEVELS, default="info", help="of the pair's own logs (info)"
    )
    return parser


def _run(arguments: argparse.Namespace, stop: threading.Event) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eventrouter-demo-")))
        sidecar = start_sidecar(
            elasticsearch=arguments.elasticsearch, folder=folder, on_gone=stop.set
        )
        stack.callback(_close_stdout)
        stack.callback(sidecar.stop)
        kubeconfig = arguments.kubeconfig or _start_cluster(stack, folder, seed=arguments.seed)
        app = App(
            Config(
                kubeconfig=kubeconfig,
                forward=sidecar.url,
                checkpoint=folder / "checkpoint.json",
                buffer_path=sidecar.buffer_path,
                listen=Listen("127.0.0.1", 0),
            )
        )
        log.info("Source: %s", arguments.kubeconfig or "an embedded stand-in for a small cluster")
        log.info("Sidecar: %s", sidecar.name)
        log.info("Metrics: http://127.0.0.1:%s/metrics  Stop with Ctrl-C.", app.http.port)
        app.start(on_failure=stop.set)
        stop.wait()
        is_clean = app.stop()
    print(summary(app.metrics), file=sys.stderr)
    return EXIT_OK if is_clean else EXIT_FAILED


def _start_cluster(stack: ExitStack, folder: Path, *, seed: int) -> str:
    """The stand-in, with its past written and its present being played. Its kubeconfig."""
    store = EventStore()
    stop = threading.Event()
    kubeconfig = folder / "kubeconfig"
    server = stack.enter_context(ApiServer(store))
    server.write_kubeconfig(kubeconfig)
    # Demo data, not a secret: anyone may know what comes next.
    player = threading.Thread(
        target=play, args=(store,), kwargs={"chance": random.Random(seed), "stop": stop}
    )
    player.start()
    stack.callback(player.join)
    stack.callback(stop.set)
    return str(kubeconfig)


def summary(metrics: Metrics) -> str:
    """What became of every event that was captured, in figures that add up."""
    captured, acknowledged = metrics.total(metrics.received), metrics.total(metrics.acked)
    sent, discarded = metrics.total(metrics.sent), metrics.total(metrics.discarded)
    lines = [
        ("captured", captured, "event states taken from the API server"),
        ("sent", sent, "records handed to the sidecar"),
        ("acknowledged", acknowledged, "of these, safe in the sidecar's buffer"),
        ("not sent", captured - sent, _reasons(discarded, captured - sent - discarded)),
    ]
    width = len(str(captured))
    return "\n".join(
        ["", *(f"{name:>14}  {count:>{width}}  {what}" for name, count, what in lines)]
    )


def _reasons(discarded: int, queued: int) -> str:
    if not discarded and not queued:
        return "nothing was left behind"
    return f"{queued} still queued at the stop, {discarded} unreadable"


def _close_stdout() -> None:
    """Have a reader that went away found out here, not in the interpreter's last words."""
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        return
    sys.stdout = None
