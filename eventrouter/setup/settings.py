"""The settings of `eventrouter setup`: its options, and the login from the environment."""

from __future__ import annotations

import argparse
import base64
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eventrouter.config import checked
from eventrouter.errors import ConfigError
from eventrouter.process import Parser
from eventrouter.setup.mapping import Server
from eventrouter.setup.objects import Parameters
from eventrouter.setup.target import Login

_DESCRIPTION = """\
Prepare Elasticsearch or OpenSearch for the events: write the lifecycle policy and the index
template, and on request a data view and dashboards, and read them back. Run it again at any time:
it leaves alone what is as it should be, and what somebody else made."""
_EPILOG = """\
The login comes from the environment: EVENTROUTER_SETUP_USER and EVENTROUTER_SETUP_PASSWORD, or
EVENTROUTER_SETUP_API_KEY (base64, as the API gives it in `encoded`). With _FILE at its end, each
of these names a file that holds the value.
Exit codes: 0 if all is as you asked, 2 for a bad setting, 1 if anything failed or was left."""


@dataclass(frozen=True, slots=True)
class SetupOption:
    """One option. Its help ends with the default in parentheses."""

    flag: str
    metavar: str
    help: str


OPTIONS = (
    SetupOption("--elasticsearch", "URL", "set up this Elasticsearch, http(s)://HOST[:PORT][/PATH]"
                " (none)"),
    SetupOption("--opensearch", "URL", "set up this OpenSearch instead (none)"),
    SetupOption("--index-prefix", "PREFIX", "indices are PREFIX-YYYY.MM.DD (kube-events)"),
    SetupOption("--retention", "TIME", "delete events after so many days, hours or minutes (30d)"),
    SetupOption("--shards", "N", "primary shards of each day's index (1)"),
    SetupOption("--replicas", "N", "replicas of each shard (the server's default)"),
    SetupOption("--kibana", "URL", "write the data view into this Kibana or OpenSearch Dashboards;"
                " end it with /s/SPACE for a space (none)"),
    SetupOption("--dashboards", "", "write the dashboards there as well (off)"),
    SetupOption("--ca-file", "FILE", "trust the CAs in this file, in PEM (the system's)"),
    SetupOption("--wait", "SECONDS", "wait so long for a server that is away (0)"),
    SetupOption("--replace-index", "", "delete today's index with its events if it was made without"
                " the template (off)"),
    SetupOption("--report", "FILE", "leave a report in this file, for the watcher's"
                " --setup-reports (none)"),
    SetupOption("--dry-run", "", "say what would be done, and write nothing (off)"),
    SetupOption("--print", "", "print the bodies as JSON, and send nothing (off)"),
    SetupOption("--force", "", "replace what somebody else made, changed or chose (off)"),
)  # fmt: skip

_SERVERS = ("--elasticsearch", "--opensearch")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked."""

    server: Server
    url: str
    parameters: Parameters
    ca_file: str | None
    wait_seconds: float
    is_dry_run: bool
    is_print: bool
    force: bool
    login: Login
    kibana: str | None
    has_dashboards: bool
    replaces_index: bool
    report: Path | None


def parser() -> Parser:
    """The parser of `eventrouter setup`."""
    result = Parser(
        prog="eventrouter setup",
        usage="eventrouter setup (--elasticsearch URL | --opensearch URL) [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=32, width=100
        ),
        allow_abbrev=False,
    )
    servers = result.add_mutually_exclusive_group(required=True)
    for option in OPTIONS:
        group = servers if option.flag in _SERVERS else result
        if option.metavar:
            group.add_argument(option.flag, metavar=option.metavar, help=option.help)
        else:
            group.add_argument(option.flag, action="store_true", help=option.help)
    return result


def read_settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """The settings of a command line and an environment. Raises ConfigError."""
    given: dict[str, Any] = vars(arguments)
    server = Server.ELASTICSEARCH if given["elasticsearch"] is not None else Server.OPENSEARCH
    option = "elasticsearch" if server is Server.ELASTICSEARCH else "opensearch"

    def read(name: str, parse: Callable[[str], Any], default: Any) -> Any:
        text = given[name]
        return default if text is None else checked(f"--{name.replace('_', '-')}", text, parse)

    defaults = Parameters()
    if given["dashboards"] and given["kibana"] is None:
        raise ConfigError("--dashboards", "missing: --kibana URL, where they are written to")
    return Settings(
        server=server,
        url=read(option, parse_url, None),
        parameters=Parameters(
            prefix=read("index_prefix", parse_prefix, defaults.prefix),
            retention=read("retention", parse_retention, defaults.retention),
            shards=read("shards", parse_number(1, 1024), defaults.shards),
            replicas=read("replicas", parse_number(0, 1000), defaults.replicas),
        ),
        ca_file=read("ca_file", parse_ca_file, None),
        wait_seconds=read("wait", parse_number(0, 3600), 0),
        is_dry_run=given["dry_run"],
        is_print=given["print"],
        force=given["force"],
        login=read_login(environment),
        kibana=read("kibana", parse_url, None),
        has_dashboards=given["dashboards"],
        replaces_index=given["replace_index"],
        report=read("report", parse_report, None),
    )


def parse_url(text: str) -> str:
    """`https://HOST[:PORT][/PATH]`, without a login."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError("not a URL, such as https://elastic.example.com:9200")
    if "@" in parts.netloc:
        raise ValueError(
            "a URL with a login; give the login by EVENTROUTER_SETUP_USER and ..._PASSWORD"
        )
    if parts.query or parts.fragment:
        raise ValueError("a URL with a query or fragment")
    return text.rstrip("/")


def parse_prefix(text: str) -> str:
    """The beginning of the indices' names, and the name of the policy and the template.

    Elasticsearch takes no capitals and no wildcards in it; 255 bytes with the day behind it.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,199}", text):
        raise ValueError(
            "not an index prefix: lower-case letters, digits, ., _ and -, up to 200,"
            " beginning with a letter or digit"
        )
    return text


def parse_retention(text: str) -> str:
    """Days, hours or minutes, as both servers read them."""
    if not re.fullmatch(r"[1-9]\d{0,5}[dhm]", text):
        raise ValueError("not a time that events can be kept, such as 30d, 12h or 90m")
    return text


def parse_number(least: int, most: int) -> Callable[[str], int]:
    """A parser for a whole number within these bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"not a whole number from {least} to {most}")
        return int(text)

    return parse


def parse_ca_file(text: str) -> str:
    """A file of certificates."""
    try:
        ssl.create_default_context(cafile=text)
    except ssl.SSLError as error:
        raise ValueError("not a file of certificates in PEM") from error
    except OSError as error:
        raise ValueError(f"not a file that can be read: {error.strerror}") from error
    return text


def parse_report(text: str) -> Path:
    """A file that can be made."""
    path = Path(text)
    if not path.name or not path.parent.is_dir():
        raise ValueError("not a file in a folder that is there")
    return path


def read_login(environment: Mapping[str, str], prefix: str = "EVENTROUTER_SETUP_") -> Login:
    """The login in the variables with this prefix, or none. Raises ConfigError."""
    user, password, key = (
        _secret(environment, f"{prefix}{name}") for name in ("USER", "PASSWORD", "API_KEY")
    )
    if key and (user or password):
        raise ConfigError(f"{prefix}API_KEY", "give an API key or a user, not both")
    if bool(user) != bool(password):
        missing = "PASSWORD" if user else "USER"
        raise ConfigError(f"{prefix}{missing}", "missing: a login is a user and a password")
    if key:
        return Login(f"ApiKey {key}", prefix)
    if user:
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        return Login(f"Basic {basic}", prefix)
    return Login("", prefix)


def _secret(environment: Mapping[str, str], name: str) -> str:
    """The variable's value or the content of the file that its `_FILE` names; else empty."""
    value, file = environment.get(name, ""), environment.get(f"{name}_FILE", "")
    if value and file:
        raise ConfigError(name, f"give it or {name}_FILE, not both")
    if file:
        try:
            value = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}_FILE", f"{file} cannot be read") from error
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ConfigError(name, "holds a line break or another control character")
    if name.endswith("API_KEY") and not value.isascii():
        raise ConfigError(name, "is no API key in base64")
    return value
