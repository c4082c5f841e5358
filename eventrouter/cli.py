"""The command line: settings from options and EVENTROUTER_* variables, signals, exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from eventrouter import __version__, config
from eventrouter.clock import SystemClock
from eventrouter.config import Config, ObjectKind
from eventrouter.errors import ConfigError
from eventrouter.forward.connection import Address
from eventrouter.ops import logs
from eventrouter.process import (
    EXIT_BAD_SETTING,
    EXIT_FAILED,
    EXIT_OK,
    Parser,
    end_on_signal,
    stop_on_signal,
)

_COMMANDS = ("run", "check", "demo", "setup")
_DESCRIPTION = """\
Follows the events of a Kubernetes cluster and hands each state of each event to Fluent Bit over the
Fluent forward protocol, with acknowledgements. Fluent Bit buffers, routes and delivers them.

commands:
  run    follow and hand over until stopped (the default)
  check  try every link once and say what works
  demo   try the pair without a cluster; see eventrouter demo --help
  setup  prepare Elasticsearch or OpenSearch; see eventrouter setup --help
"""
_EPILOG = """\
Every option is also a variable: --forward is EVENTROUTER_FORWARD, and so on. The option wins.
Exit codes: 0 after a clean stop (SIGTERM, SIGINT) or a check that found nothing wrong, 2 for a bad
setting, 1 for anything else.
"""


@dataclass(frozen=True, slots=True)
class _Option:
    """One setting: its option and variable, its parser and its help."""

    name: str
    metavar: str
    parse: Callable[[str], Any]
    help: str
    repeatable: bool = False
    is_switch: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "EVENTROUTER_" + self.name.upper()


def _kinds(text: str) -> tuple[ObjectKind, ...]:
    from eventrouter.enrich.kinds import parse_kinds  # only if it is asked for

    return parse_kinds(text)


def _label_keys(text: str) -> tuple[str, ...]:
    from eventrouter.enrich.keys import parse_label_keys

    return parse_label_keys(text)


def _annotation_keys(text: str) -> tuple[str, ...]:
    from eventrouter.enrich.keys import parse_annotation_keys

    return parse_annotation_keys(text)


def _forward_url(text: str) -> str:
    Address.parse(text)
    return text


OPTIONS = (
    _Option("kubeconfig", "PATH", config.parse_text,
            "kubeconfig file for the API server"
            " (in a pod: its service account; else KUBECONFIG, ~/.kube/config)"),
    _Option("namespace", "NS", config.parse_namespace,
            "follow this namespace only; may be repeated, or have commas in the variable"
            " (all namespaces)",
            repeatable=True),
    _Option("field_selector", "SEL", config.parse_text,
            "follow only events that match, such as type=Warning; the API server selects (none)"),
    _Option("forward", "URL", _forward_url,
            "address of Fluent Bit's forward input, tcp://HOST:PORT or unix:///PATH"
            " (tcp://127.0.0.1:24224)"),
    _Option("tag_prefix", "PREFIX", config.parse_tag_prefix,
            "tags are PREFIX.normal, PREFIX.warning and PREFIX.other (kube.events)"),
    _Option("checkpoint", "PLACE", config.parse_checkpoint,
            "keep the positions in lease:NAMESPACE/NAME, file:PATH or none"
            " (in a pod: the Lease eventrouter; else none)"),
    _Option("buffer_path", "DIR", config.parse_path_or_none,
            "Fluent Bit's storage.path, to see which chunks it has delivered; or none (none)"),
    _Option("cluster_name", "NAME", config.parse_text,
            "put this into each record as `cluster` (none)"),
    _Option("old_event_cache", "SIZE", config.parse_size,
            "memory for old_event, the state before an update; 0 turns it off (16MiB)"),
    _Option("enrich", "KINDS", _kinds,
            "look up the objects of these kinds, and add `object` to records: names such as"
            " Pod,ReplicaSet,Deployment, or Kind.version.group/plural (none)"),
    _Option("enrich_labels", "KEYS", _label_keys,
            "labels of the object to add, by their keys, or * for all (none)"),
    _Option("enrich_annotations", "KEYS", _annotation_keys,
            "annotations of the object to add, by their keys (none)"),
    _Option("enrich_cache", "SIZE", config.parse_cache_size,
            "memory for what is known of objects (8MiB)"),
    _Option("enrich_rate", "N", config.parse_rate,
            "so many objects to look up a second, and four times as many at once (50)"),
    _Option("count_events", "BOOL", config.parse_switch,
            "count what happens in the cluster, as eventrouter_kubernetes_events_total; true or"
            " false (false)",
            is_switch=True),
    _Option("count_events_series", "N", config.parse_series,
            "so many series of that counter at most; what is new then counts as `other` (2000)"),
    _Option("setup_reports", "FILES", config.parse_paths,
            "show what `eventrouter setup --report FILE` left to do; several files with commas"
            " (none)"),
    _Option("listen", "[HOST]:PORT", config.parse_listen,
            "serve the status page, /metrics, /livez and /readyz here (:8080)"),
    _Option("log_level", "LEVEL", config.one_of(*logs.LEVELS),
            "debug, info, warning or error (info)"),
    _Option("log_format", "FORMAT", config.one_of(*logs.FORMATS),
            "json or text (json)"),
)  # fmt: skip


def parser() -> Parser:
    """The parser of `eventrouter run`."""
    result = Parser(
        prog="eventrouter",
        usage="eventrouter [run | check | demo | setup] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=32, width=100
        ),
        allow_abbrev=False,
    )
    result.add_argument("--version", action="version", version=f"eventrouter {__version__}")
    for option in OPTIONS:
        extra: dict[str, Any] = {"nargs": "?", "const": "true"} if option.is_switch else {}
        result.add_argument(
            option.flag,
            metavar=option.metavar,
            help=option.help,
            action="append" if option.repeatable else "store",
            **extra,
        )
    return result


def read_config(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Config:
    """The settings of a command line and an environment. Raises ConfigError."""
    settings: dict[str, Any] = {
        "checkpoint": config.default_checkpoint(environment),
        "identity": config.identity(environment),
    }
    for option in OPTIONS:
        setting, given = option.flag, getattr(arguments, option.name)
        if given is None:
            setting, given = option.variable, environment.get(option.variable) or None
        if given is None:
            continue
        if option.repeatable:
            texts = given if isinstance(given, list) else given.replace(",", " ").split()
            values = [config.checked(setting, text, option.parse) for text in texts or [given]]
            settings["namespaces"] = tuple(dict.fromkeys(values))
        else:
            settings[option.name] = config.checked(setting, given, option.parse)
    return Config(**settings)


def _refuse_without_kinds(settings: Config) -> None:
    for flag, keys in (
        ("--enrich-labels", settings.enrich_labels),
        ("--enrich-annotations", settings.enrich_annotations),
    ):
        if keys and not settings.enrich:
            raise ConfigError(flag, "needs --enrich, which names the kinds to look up")


def main(argv: Sequence[str] | None = None) -> int:
    """The command `eventrouter`. The exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = words.pop(0) if words and words[0] in _COMMANDS else "run"
    if command == "demo":
        stop = stop_on_signal()  # before the imports, which take half a second
        from eventrouter.demo.command import main as demo

        return demo(words, stop)
    if command == "setup":
        from eventrouter.setup.command import main as setup

        return setup(words, stop_on_signal())
    try:
        if command == "check":
            return _check(words)
        settings = _settings(parser().parse_args(words))
        return _run(settings)
    except ConfigError as error:
        print(f"eventrouter: {error}", file=sys.stderr)
        return EXIT_BAD_SETTING


def _run(settings: Config) -> int:
    end_on_signal()  # an exec plugin may wait for a person
    from eventrouter.app import App  # after the settings: a mistake in them is told at once

    app = App(settings)
    stop = stop_on_signal()
    app.start(on_failure=stop.set)
    stop.wait()
    return EXIT_OK if app.stop() else EXIT_FAILED


def _settings(arguments: argparse.Namespace) -> Config:
    settings = read_config(arguments, os.environ)
    _refuse_without_kinds(settings)
    logs.set_up(level=settings.log_level, log_format=settings.log_format)
    return settings


def _check(words: Sequence[str]) -> int:
    """Try every link, then the servers that Fluent Bit writes to, as far as they are known."""
    from eventrouter.check import check
    from eventrouter.setup import sinks
    from eventrouter.setup.inspection import inspect

    options = parser()
    sinks.add_options(options)
    arguments = options.parse_args(words)
    settings = _settings(arguments)
    looks = [inspect(sink, clock=SystemClock()) for sink in sinks.read_sinks(arguments, os.environ)]
    is_good = True
    for finding in chain(check(settings), *looks):
        print(finding, flush=True)
        is_good = is_good and finding.is_good is not False
    return EXIT_OK if is_good else EXIT_FAILED
