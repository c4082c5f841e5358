"""The child that loads the configuration. Only this module imports `kubernetes`.

credentials.py runs it as a program; the first argument is the number of the socket for its Answer.
It uses the package's public names, and neither its models nor its Watch (docs/architecture.md says
why).
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from kubernetes import client, config
from kubernetes.client.rest import RESTClientObject
from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from eventrouter.config import in_cluster
from eventrouter.kube.credentials import Access, Answer, Endpoint, is_header

# The options of urllib3's pool that the package sets from a kubeconfig or a service account.
_FILES = ("ca_certs", "cert_file", "key_file")
_OPTIONS = (*_FILES, "cert_reqs", "server_hostname", "maxsize")
# What the package says where an exec plugin fails whose own words went to a terminal.
_SAID_ABOVE = "'NoneType' object has no attribute 'strip'"


def main() -> None:
    """Load the configuration, pass it on and exit."""
    parent = socket.socket(fileno=int(sys.argv[1]))
    folder = tempfile.tempdir = _make_folder()
    threading.Thread(target=_end_with, args=(parent, folder), daemon=True).start()
    answer = load(sys.argv[2] if len(sys.argv) > 2 else None, folder=folder)
    _remove(folder)
    parent.sendall(msgspec.json.encode(answer))
    os._exit(0)  # an orderly exit from 600 modules takes time that the start waits for


def load(kubeconfig: str | None, *, folder: str | None = None) -> Answer:
    """Load the given kubeconfig, or whatever `credentials.read` names. A problem is one line.

    Files in `folder` are about to be removed, so the answer has their content.
    """
    with _logged_errors() as errors:
        try:
            access = _load(kubeconfig, folder)
        except Exception as error:  # noqa: BLE001, whatever YAML, files and plugins raise
            return Answer(problem=_told(error))
    # The package only logs that an exec plugin failed, and continues without credentials.
    if errors:
        return Answer(problem="; ".join(map(_without_secrets, errors)))
    return Answer(access=access)


def _load(kubeconfig: str | None, folder: str | None) -> Access:
    configuration = client.Configuration()
    expires: float | None = None
    token_file: str | None = None
    if kubeconfig is None and in_cluster(os.environ):
        config.load_incluster_config(client_configuration=configuration)
        token_file = SERVICE_TOKEN_FILENAME
    else:
        if kubeconfig is not None:
            Path(os.path.expanduser(kubeconfig)).read_bytes()  # its error says why
        merged = KubeConfigMerger(kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION)
        if merged.config is None:
            raise config.ConfigException("Invalid kube-config file. No configuration found.")
        _name_entries(merged.config.value)
        # load_kube_config does the same, but does not tell when the credentials expire.
        loader = KubeConfigLoader(
            merged.config, config_base_path=None, config_persister=lambda: _save(merged)
        )
        loader.load_and_set(configuration)
        expires = loader.expiry.timestamp() if hasattr(loader, "expiry") else None
        token_file = _token_file(merged, loader, configuration)
    if not _is_server(str(configuration.host)):
        if "@" in str(configuration.host):
            raise ValueError("the server's URL has a login, which is not supported")
        raise ValueError(f"{configuration.host!r} is no server's URL")
    authorization = (configuration.api_key.get("BearerToken") or "").strip() or None
    if authorization and not is_header(authorization):
        raise ValueError("the token has characters that no header may have")
    # The package decides what proxies, server names and switches mean for a connection.
    try:
        pool = RESTClientObject(configuration).pool_manager
    except urllib3.exceptions.LocationParseError:  # which shows the login of the proxy
        raise ValueError("the proxy's URL cannot be read") from None
    given = {key: pool.connection_pool_kw.get(key) for key in _OPTIONS}
    options = {key: value for key, value in given.items() if value is not None}
    _try(options)
    return Access(
        endpoint=Endpoint(
            server=str(configuration.host).rstrip("/"),
            proxy=None if type(pool) is urllib3.PoolManager else configuration.proxy,
            contents={
                key: Path(options.pop(key)).read_bytes()
                for key in _FILES
                if folder and str(options.get(key, "")).startswith(folder)
            },
            options=options,
        ),
        authorization=authorization,
        token_file=token_file,
        expires=expires,
    )


def _token_file(merged: Any, loader: Any, configuration: Any) -> str | None:
    """The current user's `tokenFile`, if the token in use comes from it."""
    name = loader.current_context["context"].get("user")
    user: Any = merged.config["users"].get_with_name(name, safe=True) if name else None
    named = user["user"].safe_get("tokenFile") if user and user.safe_get("user") else None
    if not named:
        return None
    path = Path(os.path.normpath(Path(user.path).absolute().parent / named))  # as the package does
    is_used = configuration.api_key.get("BearerToken") == f"Bearer {path.read_text()}"
    return str(path) if is_used else None


def _name_entries(kubeconfig: dict[str, Any]) -> None:
    """Have the package call an entry by its name in errors, and not by all that it holds."""
    for kind in ("clusters", "contexts", "users"):
        for node in kubeconfig[kind]:
            if isinstance(node.value, dict):
                node.name = f"{kind}[{node.value.get('name')}]"


def _save(merged: Any) -> None:
    """Keep a token that the package has refreshed, if the kubeconfig can be written."""
    with suppress(OSError):
        merged.save_changes()


def _try(options: dict[str, Any]) -> None:
    """Load the certificates as a connection does, so that the start reports a mistake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca, certificate = options.get("ca_certs"), options.get("cert_file")
    try:
        if what := ca:
            context.load_verify_locations(ca)
        if what := certificate:
            context.load_cert_chain(certificate, options.get("key_file"), password="")
    except OSError as error:
        raise ValueError(f"{what}: {error}") from error


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        return is_url and parts.username is None and parts.password is None
    except ValueError:  # a port that is no number
        return False


@contextmanager
def _logged_errors() -> Iterator[list[str]]:
    """The errors that the block logs."""
    errors: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield errors
    finally:
        root.removeHandler(handler)


def _make_folder() -> str | None:
    """Where the package writes the certificates and keys that a kubeconfig has inline.

    In memory if possible: the root may be read-only, and a disk may keep what was deleted. None if
    nothing is writable; a service account needs no such files.
    """
    for place in ("/dev/shm", None):
        with suppress(OSError):
            return tempfile.mkdtemp(prefix="eventrouter-", dir=place)
    return None


def _remove(folder: str | None) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with(parent: socket.socket, folder: str | None) -> None:
    """When the watcher is gone or gave up, kill this process group, exec plugin included."""
    with suppress(OSError):
        parent.recv(1)
    _remove(folder)
    os.killpg(0, signal.SIGKILL)


def _told(error: Exception) -> str:
    """The error in one line. Of YAML only the place, because what stands there may be a secret."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"no valid YAML in {mark.name}, line {mark.line + 1}, column {mark.column + 1}"
    return _without_secrets(str(error) or type(error).__name__)


def _without_secrets(text: str) -> str:
    """One line, without what the package shows of a kubeconfig: an entry, the login of a URL."""
    if text.startswith("Invalid kube-config file"):
        text = text.partition("/{")[0]
    if sys.stdout.isatty() and text == _SAID_ABOVE:
        text = "the exec plugin failed; what it said is above"
    return re.sub(r"(?<=://)[^\s/]*@", "…@", " ".join(text.split()))


if __name__ == "__main__":
    main()
