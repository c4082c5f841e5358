"""The router that anybody would write first with the same packages, to compare with.

kubernetes.watch.Watch and fluent-logger's FluentSender, no acks, no checkpoint, no old_event.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.programs.module import Module


class Reference(Module):
    """Ends by itself once it has sent `length` events."""

    name = "reference"
    module = "tests.bench.reference"

    def __init__(self, directory: Path, *, kubeconfig: Path, port: int, length: int) -> None:
        super().__init__(directory)
        self._arguments = [str(kubeconfig), str(port), str(length)]

    def arguments(self) -> list[str]:
        return self._arguments

    def is_ready(self) -> bool:
        return True


def main() -> None:
    """Follow and send."""
    from fluent.sender import FluentSender
    from kubernetes import client, config, watch

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("kubeconfig")
    parser.add_argument("port", type=int)
    parser.add_argument("length", type=int)
    options = parser.parse_args()
    config.load_kube_config(options.kubeconfig)
    sender = FluentSender("kube.events", host="127.0.0.1", port=options.port, timeout=30.0)
    api = client.CoreV1Api()
    # `raw_object` is the JSON as it came. The model that is made beside it can't be packed, and
    # can't be had without.
    stream = watch.Watch().stream(api.list_event_for_all_namespaces)
    for _, change in zip(range(options.length), stream, strict=False):
        record = {"verb": change["type"], "event": change["raw_object"]}
        if not sender.emit(record["event"]["type"].lower(), record):
            raise SystemExit(f"cannot send: {sender.last_error}")
    sender.close()


if __name__ == "__main__":
    main()
