"""Which servers `eventrouter check` looks at: by its options, or by variables for each output."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from eventrouter.config import checked
from eventrouter.setup.mapping import Server
from eventrouter.setup.objects import Parameters
from eventrouter.setup.settings import (
    SetupOption,
    parse_ca_file,
    parse_prefix,
    parse_url,
    read_login,
)
from eventrouter.setup.target import Login

OPTIONS = (
    SetupOption("--elasticsearch", "URL", "check this Elasticsearch too; several with commas"
                " (none)"),
    SetupOption("--opensearch", "URL", "check this OpenSearch too; several with commas (none)"),
    SetupOption("--index-prefix", "PREFIX", "their indices are PREFIX-YYYY.MM.DD (kube-events)"),
    SetupOption("--ca-file", "FILE", "trust the CAs in this file, in PEM (the system's)"),
)  # fmt: skip
_DESCRIPTION = """\
What Fluent Bit writes to. --elasticsearch is EVENTROUTER_CHECK_ELASTICSEARCH, and so on.
The login is EVENTROUTER_CHECK_USER and EVENTROUTER_CHECK_PASSWORD, or EVENTROUTER_CHECK_API_KEY.
With _FILE at its end, each of these names a file that holds the value."""
_PREFIX = "EVENTROUTER_CHECK_"
# EVENTROUTER_CHECK_ELASTICSEARCH, and for an output EVENTROUTER_CHECK_NAME__ELASTICSEARCH.
_VARIABLE = re.compile(rf"{_PREFIX}(?:([A-Z0-9_]+?)__)?(?:ELASTICSEARCH|OPENSEARCH)")


@dataclass(frozen=True, slots=True)
class Sink:
    """A server that Fluent Bit writes to. `output` is the output's name, empty without one."""

    output: str
    server: Server
    url: str
    parameters: Parameters
    ca_file: str | None
    login: Login

    @property
    def name(self) -> str:
        return self.output or self.server.value.lower()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Have the parser take the options. Each is a variable too."""
    group = parser.add_argument_group("only for check", _DESCRIPTION)
    for option in OPTIONS:
        group.add_argument(option.flag, metavar=option.metavar, help=option.help)


def variable(option: SetupOption) -> str:
    """The variable of an option."""
    return _PREFIX + option.flag.removeprefix("--").replace("-", "_").upper()


def read_sinks(arguments: argparse.Namespace, environment: Mapping[str, str]) -> list[Sink]:
    """All servers to look at. Raises ConfigError."""
    given = {
        variable(option): (option.flag, text)
        for option in OPTIONS
        if (text := getattr(arguments, option.flag[2:].replace("-", "_"))) is not None
    }
    outputs = {""} | {
        found[1] or "" for name in environment if (found := _VARIABLE.fullmatch(name))
    }
    return [sink for output in sorted(outputs) for sink in _sinks(output, given, environment)]


def _parse_url(text: str) -> str:
    if "@" in text:
        raise ValueError(f"a URL with a login; give the login by {_PREFIX}USER and ..._PASSWORD")
    return parse_url(text)


def _sinks(
    output: str, given: Mapping[str, tuple[str, str]], environment: Mapping[str, str]
) -> Iterator[Sink]:
    """Those of one output. An option overrides its variable; an empty variable is not set."""
    prefix = f"{_PREFIX}{output}__" if output else _PREFIX

    def text(part: str) -> tuple[str, str]:
        name = prefix + part
        return given.get(name) or (name, environment.get(name, ""))

    def parsed(part: str, parse: Callable[[str], str]) -> str | None:
        setting, value = text(part)
        is_set = bool(value) or setting.startswith("--")
        return checked(setting, value, parse) if is_set else None

    urls = [
        (server, checked(setting, url.strip(), _parse_url))
        for server in Server
        for setting, value in [text(server.name)]
        for url in (value.split(",") if value or setting.startswith("--") else [])
    ]
    if not urls:
        return
    index_prefix = parsed("INDEX_PREFIX", parse_prefix) or Parameters().prefix
    ca_file = parsed("CA_FILE", parse_ca_file)
    login = read_login(environment, prefix)
    for server, url in urls:
        name = output.lower().replace("_", "-")
        yield Sink(name, server, url, Parameters(prefix=index_prefix), ca_file, login)
