"""The whole watcher in this process, and what can be seen of it from outside."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import orjson

from eventrouter.app import App
from eventrouter.config import Config, Listen
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.receiver.receiver import Receiver
from tests.integration.numbers import Numbers, http_get
from tests.support.waiting import DEADLINE, eventually

Json = dict[str, Any]


class Watcher:
    """The application, as `run` has it, but for signals. `stop` may be called once."""

    def __init__(
        self,
        server: ApiServer,
        forward: str,
        directory: Path,
        *,
        checkpoint: bool = True,
        host: str = "127.0.0.1",
        **settings: Any,
    ) -> None:
        kubeconfig = directory / "kubeconfig"
        server.write_kubeconfig(kubeconfig)
        self.checkpoint_path = directory / "checkpoint"
        self.app = App(
            Config(
                kubeconfig=str(kubeconfig),
                forward=forward,
                checkpoint=self.checkpoint_path if checkpoint else None,
                listen=Listen(host, 0),
                **settings,
            )
        )
        self.failed = threading.Event()
        self._is_stopped = False

    def start(self) -> Watcher:
        self.app.start(on_failure=self.failed.set)
        return self

    def stop(self) -> bool:
        self._is_stopped = True
        return self.app.stop()

    def __enter__(self) -> Watcher:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if not self._is_stopped:
            self.stop()
        assert not self.failed.is_set()

    @property
    def checkpoint(self) -> Json:
        return read_checkpoint(self.checkpoint_path)

    def get(self, path: str, *, host: str = "127.0.0.1") -> tuple[int, str]:
        return http_get(f"http://{host}:{self.app.http.port}{path}")

    def numbers(self) -> Numbers:
        return Numbers(self.get("/metrics")[1])

    def numbers_at_rest(self) -> Numbers:
        """The numbers once all that was sent is acknowledged."""
        eventually(lambda: self.numbers()("events_in_flight") == 0)
        return self.numbers()


def read_checkpoint(path: Path) -> Json:
    """What the checkpoint file says now; nothing while there is none."""
    try:
        checkpoint: Json = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {"acked": {}, "delivered": {}}
    return checkpoint


def received_once_or_more(receiver: Receiver, ids: set[str], *, timeout: float = DEADLINE) -> None:
    """Wait until every one of these has come."""
    receiver.wait_for(lambda: ids <= receiver.records.keys(), timeout=timeout)
