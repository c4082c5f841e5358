"""Credentials for the API server: a child process finds them, and this module keeps them fresh.

The `kubernetes` package is the authority on kubeconfigs, exec plugins, OIDC, proxies and service
accounts. It takes 20 MiB and is needed for a moment only. So a child (credentials_loader.py) loads
it, passes what it found through a socket, and ends. No secret is in an argument, an environment
variable or a file.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from eventrouter.clock import Clock
from eventrouter.config import in_cluster
from eventrouter.errors import ConfigError

log = logging.getLogger(__name__)

# -P: Python imports nothing from the directory that the watcher was started in.
COMMAND = (sys.executable, "-P", "-m", "eventrouter.kube.credentials_loader")
# An exec plugin may ask a cloud, or a person at a browser.
CHILD_SECONDS = 60.0
# A disk or a network that does not answer may hold up the end of a process for ever.
_END_SECONDS = 5.0
# A child takes 0.4 s of CPU and 35 MiB, and its exec plugin comes on top.
PAUSE_SECONDS = 60.0
# The kubelet replaces a token long before it expires; client-go reads the file as often
# (transport/token_source.go).
_TOKEN_FILE_SECONDS = 60.0
# How long before the credentials expire a child asks for new ones. An exec plugin that caches
# returns the old ones until shortly before they expire, so more would only mean more children.
_EARLY_SECONDS = 60.0


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API server is, and how to connect to it."""

    server: str
    proxy: str | None = None
    options: dict[str, str | int]  # for urllib3's pool
    contents: dict[str, bytes] = {}  # options that name a file, where only its content is known

    def __repr__(self) -> str:
        return f"Endpoint(server={self.server!r})"  # without the private key


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """All that a request needs."""

    endpoint: Endpoint
    authorization: str | None = None  # the value of that header
    token_file: str | None = None  # the file that its token comes from
    expires: float | None = None  # seconds since 1970

    def __repr__(self) -> str:
        return f"Access(endpoint={self.endpoint!r})"  # without the token


class Answer(msgspec.Struct, kw_only=True):
    """What the child passes on: what it found, or why it found nothing."""

    access: Access | None = None
    problem: str = ""


class Credentials:
    """The credentials in use. Thread-safe.

    `read` runs a child and raises ConfigError. It is called once at the start, and later at most
    once a minute. A token that comes from a file needs no child to be read again.
    """

    def __init__(self, read: Callable[[], Access], *, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._failure: ConfigError | None = None
        self._changing = threading.Lock()  # held while a child runs
        self._ask()

    @classmethod
    def of(cls, kubeconfig: str | None, *, clock: Clock) -> Credentials:
        """The credentials that `read` finds. Raises ConfigError."""
        return cls(lambda: read(kubeconfig), clock=clock)

    def current(self) -> Access:
        """The access for a request that is made now. Never waits for a child."""
        now = self._clock.monotonic()
        if now >= self._token_read + _TOKEN_FILE_SECONDS and self._changing.acquire(blocking=False):
            try:
                self._read_token()
            finally:
                self._changing.release()
        if self._expires_soon() and self._may_ask() and not self._changing.locked():
            threading.Thread(target=self._renew_early, name="credentials", daemon=True).start()
        return self._access

    def renew(self, refused: Access) -> None:
        """Read the credentials anew, because the API server refused `refused`.

        A changed token file is enough. Within a minute of the last child this changes nothing, or
        raises that child's ConfigError again.
        """
        with self._changing:
            if self._access is not refused or self._read_token():
                return
            if self._may_ask():
                self._ask()
            elif self._failure:
                raise self._failure

    def _may_ask(self) -> bool:
        return self._clock.monotonic() >= self._asked + PAUSE_SECONDS

    def _ask(self) -> None:
        try:
            self._access = self._read()
            self._failure = None
        except ConfigError as error:
            self._failure = error
            raise
        finally:
            self._asked = self._token_read = self._clock.monotonic()

    def _expires_soon(self) -> bool:
        expires = self._access.expires
        return expires is not None and self._clock.time() >= expires - _EARLY_SECONDS

    def _renew_early(self) -> None:
        """Runs in a thread of its own: requests go on with the old credentials meanwhile."""
        with self._changing:
            if self._may_ask():
                try:
                    self._ask()
                except ConfigError as error:
                    log.warning("Cannot renew the credentials, which expire soon: %s", error)

    def _read_token(self) -> bool:
        """Take the token from its file; True if it is another one.

        A file of no use changes nothing: the API server refuses the token when it is too old, and
        a child then reports what is wrong with the file.
        """
        self._token_read = self._clock.monotonic()
        before = self._access
        if before.token_file is not None:
            with suppress(OSError, UnicodeDecodeError):
                token = Path(before.token_file).read_text().strip()
                is_old = (before.authorization or "").endswith(f" {token}")
                if token and is_header(token) and not is_old:
                    self._access = replace(before, authorization=f"Bearer {token}")
        return self._access is not before


def read(kubeconfig: str | None) -> Access:
    """Run a child that loads the given kubeconfig. Without one it loads the pod's service account,
    and outside a pod KUBECONFIG or ~/.kube/config. Raises ConfigError, after CHILD_SECONDS at most.
    """
    answer = ask_child(kubeconfig)
    if answer.access is not None:
        return answer.access
    where = kubeconfig or (
        "the service account" if in_cluster(os.environ) else "KUBECONFIG, ~/.kube/config"
    )
    raise ConfigError("--kubeconfig", f"cannot use {where}: {answer.problem}")


def ask_child(kubeconfig: str | None) -> Answer:
    """Run a child and return its answer.

    The child ends when our end of the socket closes, and its exec plugin with it. So neither
    outlives its time or the watcher.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            try:
                child = subprocess.Popen(
                    [*COMMAND, str(theirs.fileno()), *([kubeconfig] if kubeconfig else [])],
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # its own process group, to end it with its plugin
                )
            except OSError as error:
                return Answer(problem=f"cannot start a process to read it: {error}")
        ours.settimeout(CHILD_SECONDS)
        try:
            with ours.makefile("rb") as stream:
                data = stream.read()
        except TimeoutError:
            data = None
    with suppress(subprocess.TimeoutExpired):
        child.wait(_END_SECONDS)
    if data is None:
        _reap(child.pid)
        return Answer(problem=f"no answer in {CHILD_SECONDS:g} s; does its exec plugin hang?")
    try:
        return msgspec.json.decode(data, type=Answer)
    except msgspec.DecodeError:
        hint = "; is the memory limit too low?" if child.returncode == -signal.SIGKILL else ""
        return Answer(problem=f"the process that reads it ended with {child.returncode}{hint}")


def is_header(value: str) -> bool:
    """Whether it may be the value of a header; http.client would show one that may not be."""
    return value.isascii() and value.isprintable()


def _reap(group: int) -> None:
    """Collect the plugin that was killed with the child, as a container's first process has to."""
    deadline = time.monotonic() + _END_SECONDS
    with suppress(ChildProcessError):  # nothing of it is ours any more
        while time.monotonic() < deadline:
            if not os.waitpid(-group, os.WNOHANG)[0]:
                time.sleep(0.01)
