"""A stand-in API server that has other objects beside events, as metadata alone."""

from __future__ import annotations

import threading
from typing import Any

from eventrouter.standins.apiserver.encoding import encode
from eventrouter.standins.apiserver.http import Request
from eventrouter.standins.apiserver.server import ApiServer
from eventrouter.standins.apiserver.status import Refusal

Json = dict[str, Any]
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class ObjectServer(ApiServer):
    """`objects` holds the metadata by path. `refusals` holds, by plural, how to refuse.

    While `is_open` is not set, requests for objects wait. `asked` are the paths of all so far.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.objects: dict[str, Json] = {}
        self.refusals: dict[str, Refusal] = {}
        self.is_open = threading.Event()
        self.is_open.set()
        self.asked: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        super().__init__(*args, **options)

    def add(self, path: str, *, owner: Json | None = None, **metadata: Any) -> Json:
        """Add an object; a reference to it, for an event or for another's owner."""
        name = path.rpartition("/")[2]
        uid = metadata.pop("uid", f"uid-of-{name}")
        self.objects[path] = {"name": name, "uid": uid, **metadata}
        if owner is not None:
            self.objects[path]["ownerReferences"] = [{**owner, "controller": True}]
        return {"name": name, "uid": uid}

    def close(self) -> None:
        self.is_open.set()
        super().close()

    def answer_other(self, request: Request) -> bytes:
        assert request.method == "GET"
        assert request.headers["accept"] == PARTIAL, "never the whole object"
        with self.changing():
            self.asked.append(request.path)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.is_open.wait(10)
            return self._object(request.path)
        finally:
            with self.changing():
                self._at_once -= 1

    def _object(self, path: str) -> bytes:
        plural, name = path.split("/")[-2:]
        if plural in self.refusals:
            raise self.refusals[plural]
        if path not in self.objects:
            raise Refusal(404, f'{plural} "{name}" not found', details={"name": name})
        kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return encode({**kind, "metadata": self.objects[path]})
