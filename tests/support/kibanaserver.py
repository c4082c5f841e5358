"""What `eventrouter setup` asks of Kibana and OpenSearch Dashboards, as strict as they are.

Import and export of saved objects by the two references (elastic.co and opensearch.org, Saved
objects APIs), with the form of the objects by `tests.support.savedobjects`. Kibana stores objects
in the form of its own version, and OpenSearch Dashboards fills in the fields of an index pattern.
"""

from __future__ import annotations

import json
from email import message_from_bytes
from email.policy import HTTP
from enum import Enum
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.httpserver import Exchange, HttpServer
from tests.support.savedobjects import Malformed, checked

Json = dict[str, Any]
Key = tuple[str, str]


class Product(Enum):
    """The value is the header that guards it against forged requests."""

    KIBANA = "kbn-xsrf"
    OPENSEARCH_DASHBOARDS = "osd-xsrf"


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"statusCode": status, "error": "Error", "message": message, **more}


class KibanaServer(HttpServer):
    """The server. Tests read and change its attributes while it runs."""

    def __init__(self, product: Product = Product.KIBANA, *, space: str = "") -> None:
        super().__init__()
        self.product = product
        self.base = f"/s/{space}" if space else ""
        self.url = f"http://127.0.0.1:{self.port}{self.base}"
        self.objects: dict[Key, Json] = {}
        self.imports: list[list[Key]] = []
        self.requests: list[str] = []
        self.authorization: str | None = None  # the header that it wants, if any
        self.is_forbidden = False
        self.keeps_writes = True
        self.answer_next: list[tuple[int, bytes]] = []  # instead of an answer of its own

    def serve(self, exchange: Exchange) -> None:
        body = exchange.body() if exchange.headers["Content-Length"] else b""
        self.requests.append(exchange.path)
        if self.answer_next:
            exchange.reply(*self.answer_next.pop(0))
            return
        try:
            answer, content_type = self._answer(exchange, body)
            exchange.reply(200, answer, content_type=content_type)
        except Refused as refused:
            answer = json.dumps(refused.body).encode()
            exchange.reply(refused.status, answer, content_type="application/json")

    def titles(self, type_: str) -> set[str]:
        """The titles of all objects of a type."""
        return {
            each["attributes"]["title"] for key, each in self.objects.items() if key[0] == type_
        }

    def forget(self) -> Self:
        """Forget the requests so far."""
        self.requests.clear()
        self.imports.clear()
        return self

    def _answer(self, exchange: Exchange, body: bytes) -> tuple[bytes, str]:
        url = urlsplit(exchange.path)
        if self.authorization and exchange.headers["Authorization"] != self.authorization:
            raise Refused(401, "security_exception: unable to authenticate user")
        if exchange.command != "POST" or not url.path.startswith(f"{self.base}/api/saved_objects/"):
            raise Refused(404, "Not Found")
        if not exchange.headers[self.product.value]:
            raise Refused(400, f"Request must contain a {self.product.value} header.")
        if self.is_forbidden:
            raise Refused(403, "Unable to bulk_get dashboard")
        call = url.path.rpartition("/")[2]
        if call == "_export":
            if exchange.headers["Content-Type"] != "application/json":
                raise Refused(415, "Unsupported Media Type")
            return self._export(json.loads(body)), "application/ndjson"
        if call == "_import":
            if parse_qs(url.query) != {"overwrite": ["true"]}:
                raise Refused(400, "[request query]: expected overwrite=true")
            objects = _objects(exchange.headers["Content-Type"], body)
            return json.dumps(self._import(objects)).encode(), "application/json"
        raise Refused(404, "Not Found")

    def _export(self, request: Json) -> bytes:
        if unknown := request.keys() - {"objects", "excludeExportDetails"}:
            raise Refused(400, f"[request body]: unknown keys {sorted(unknown)}")
        keys = [(each["type"], each["id"]) for each in request["objects"]]
        if not keys:
            raise Refused(400, "[request body.objects]: array size is [0]")
        missing = [
            {"type": key[0], "id": key[1], "error": {"statusCode": 404, "error": "Not Found"}}
            for key in keys
            if key not in self.objects
        ]
        if missing:
            raise Refused(400, "Error fetching objects", attributes={"objects": missing})
        return "\n".join(json.dumps(self.objects[key]) for key in keys).encode()

    def _import(self, objects: list[Json]) -> Json:
        self.imports.append([(each["type"], each["id"]) for each in objects])
        there = self.objects.keys() | set(self.imports[-1])
        lacking = [
            each
            for each in objects
            if any((one["type"], one["id"]) not in there for one in each["references"])
        ]
        if lacking and self.product is Product.KIBANA:
            errors = [
                {"type": each["type"], "id": each["id"], "error": {"type": "missing_references"}}
                for each in lacking
            ]
            return {"success": False, "successCount": 0, "errors": errors}
        # OpenSearch-Dashboards#12657: with a missing reference it reports success all the same.
        if self.keeps_writes and not lacking:
            self.objects |= {(each["type"], each["id"]): self._stored(each) for each in objects}
        return {"success": True, "successCount": len(objects)}

    def _stored(self, saved: Json) -> Json:
        """As its own version would have made it."""
        stored: Json = json.loads(json.dumps(saved))
        attributes = stored["attributes"]
        if self.product is Product.OPENSEARCH_DASHBOARDS:
            if saved["type"] == "index-pattern":
                attributes["fields"] = json.dumps([{"name": "event.reason", "type": "string"}])
            return stored | {"version": "WzEsMV0=", "updated_at": "2026-11-28T06:00:00.000Z"}
        if "visState" in attributes:
            state = json.loads(attributes["visState"])
            state["params"] |= {"isVislibVis": True, "palette": {"type": "palette"}}
            attributes["visState"] = json.dumps(state, indent=1)
        if saved["type"] == "search":  # since 9.2 a Discover session has tabs
            inside = {
                name: attributes.pop(name) for name in ("columns", "sort", "kibanaSavedObjectMeta")
            }
            attributes["tabs"] = [{"id": "1", "label": "Untitled", "attributes": inside}]
        if "panelsJSON" in attributes:
            panels = json.loads(attributes["panelsJSON"])
            for panel in panels:
                panel["embeddableConfig"]["enhancements"] = {}
            attributes["panelsJSON"] = json.dumps(panels)
        version = stored.pop("migrationVersion")[saved["type"]]
        return stored | {"coreMigrationVersion": "8.8.0", "typeMigrationVersion": version}


def _objects(content_type: str, body: bytes) -> list[Json]:
    """The objects in the one file of a form, each of the right form."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    parts = list(form.iter_parts())
    if form.get_content_type() != "multipart/form-data" or len(parts) != 1:
        raise Refused(415, "Unsupported Media Type")
    (part,) = parts
    if part.get_param("name", header="content-disposition") != "file":
        raise Refused(400, "[request body.file]: expected value of type [Stream]")
    if not (part.get_filename() or "").endswith(".ndjson"):
        raise Refused(400, "Invalid file extension")
    try:
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        return [checked(json.loads(line)) for line in content.decode().splitlines()]
    except (ValueError, Malformed) as error:
        raise Refused(422, f"Document is of a form that is not known: {error}") from error
