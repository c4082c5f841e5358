"""The settings: their values once checked, and how each is parsed from text."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eventrouter.errors import ConfigError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MIN_CACHE_BYTES = 64 * 1024
_MAX_RATE = 1000
_MAX_SERIES = 100_000
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
# A label as in RFC 1123, which the names of namespaces and of API groups are made of.
DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(DNS_LABEL)


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """Which Lease keeps the checkpoint."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to serve HTTP. An empty host means every address, IPv4 and IPv6."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of object and its resource. `is_namespaced` is None if only the object tells."""

    kind: str
    version: str
    group: str
    plural: str
    is_namespaced: bool | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked. Each has an option of the same name, explained in cli.py."""

    kubeconfig: str | None = None
    namespaces: tuple[str, ...] = ()
    field_selector: str | None = None
    forward: str = "tcp://127.0.0.1:24224"
    tag_prefix: str = "kube.events"
    checkpoint: LeaseRef | Path | None = None
    buffer_path: Path | None = None
    cluster_name: str | None = None
    old_event_cache: int = 16 * 2**20
    enrich: tuple[ObjectKind, ...] = ()
    enrich_labels: tuple[str, ...] = ()
    enrich_annotations: tuple[str, ...] = ()
    enrich_cache: int = 8 * 2**20
    enrich_rate: int = 50
    count_events: bool = False
    count_events_series: int = 2000
    setup_reports: tuple[Path, ...] = ()
    listen: Listen = Listen("", 8080)
    log_level: str = "info"
    log_format: str = "json"
    identity: str = ""


def in_cluster(environment: Mapping[str, str]) -> bool:
    """Whether this runs in a pod: the kubelet sets this variable in each."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST"))


def default_checkpoint(environment: Mapping[str, str]) -> LeaseRef | None:
    """In a pod, the Lease `eventrouter` in the pod's namespace; else none."""
    if not in_cluster(environment):
        return None
    namespace = SERVICE_ACCOUNT / "namespace"
    return LeaseRef(namespace.read_text().strip(), "eventrouter") if namespace.exists() else None


def identity(environment: Mapping[str, str]) -> str:
    """The name in an election: the pod's, so that its restarted container takes its own lease."""
    pod, uid = (environment.get(f"EVENTROUTER_POD_{name}") for name in ("NAME", "UID"))
    return f"{pod}_{uid}" if pod and uid else f"{socket.gethostname()}_{uuid.uuid4()}"


def parse_size(text: str) -> int:
    """Bytes from `1500000`, `64K` (1000s) or `16Mi`, `16MiB` (1024s)."""
    match = re.fullmatch(r"(\d+)\s*([KMG]i?|)B?", text.strip())
    if not match:
        raise ValueError(
            "not a size; write bytes, or a number with K, M, G, Ki, Mi or Gi, as in 16MiB"
        )
    return int(match[1]) * _UNITS[match[2]]


def parse_cache_size(text: str) -> int:
    """A size with room for some objects at least."""
    size_bytes = parse_size(text)
    if size_bytes < _MIN_CACHE_BYTES:
        raise ValueError("too small: at least 64KiB")
    return size_bytes


def parse_rate(text: str) -> int:
    """How often a second something may be done."""
    if not (re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= _MAX_RATE):
        raise ValueError(f"not a number from 1 to {_MAX_RATE}")
    return int(text)


def parse_switch(text: str) -> bool:
    """`true` or `false`."""
    if text not in ("true", "false"):
        raise ValueError("not true or false")
    return text == "true"


def parse_series(text: str) -> int:
    """How many series a counter may have."""
    if not (re.fullmatch(r"[0-9]{1,9}", text) and 10 <= int(text) <= _MAX_SERIES):
        raise ValueError(f"not a number from 10 to {_MAX_SERIES}")
    return int(text)


def parse_listen(text: str) -> Listen:
    """`:8080`, `127.0.0.1:8080`, `[::1]:8080`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError("not [HOST]:PORT, as in :8080 or 127.0.0.1:8080")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))


def parse_checkpoint(text: str) -> LeaseRef | Path | None:
    """`lease:NAMESPACE/NAME`, `file:PATH` or `none`."""
    if text == "none":
        return None
    scheme, _, rest = text.partition(":")
    if scheme == "file" and rest:
        return Path(rest)
    namespace, _, name = rest.partition("/")
    if scheme == "lease" and _NAMESPACE.fullmatch(namespace) and _OBJECT_NAME.fullmatch(name):
        return LeaseRef(namespace, name)
    raise ValueError("not lease:NAMESPACE/NAME, file:PATH or none")


def parse_namespace(text: str) -> str:
    """One namespace's name."""
    if not _NAMESPACE.fullmatch(text):
        raise ValueError("not the name of a namespace")
    return text


def parse_tag_prefix(text: str) -> str:
    """The first part of a tag, without the last dot."""
    if not re.fullmatch(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*", text):
        raise ValueError("not a tag: letters, digits, _ and -, with dots between them")
    return text


def parse_path_or_none(text: str) -> Path | None:
    """A path, or the word `none`."""
    if not text:
        raise ValueError("empty; write a path, or none")
    return None if text == "none" else Path(text)


def parse_paths(text: str) -> tuple[Path, ...]:
    """Paths with commas between them, each once."""
    paths = [Path(path.strip()) for path in text.split(",") if path.strip()]
    if not paths:
        raise ValueError("empty; write paths, with commas between them")
    return tuple(dict.fromkeys(paths))


def parse_text(text: str) -> str:
    """Any text that is not empty."""
    if not text:
        raise ValueError("empty")
    text.encode()  # a UnicodeEncodeError is a ValueError
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """A parser for one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return text

    return parse


T = TypeVar("T")


def checked(setting: str, text: str, parse: Callable[[str], T]) -> T:
    """The parsed value. Raises a ConfigError that names the setting."""
    try:
        return parse(text)
    except ValueError as error:
        shown = "it" if "@" in text else repr(text)  # there may be a password before an @
        raise ConfigError(setting, f"{shown} is {error}") from error
