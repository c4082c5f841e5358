"""What `eventrouter setup` and `check` ask of Elasticsearch and OpenSearch, as strict as they are.

Bodies and answers follow the reference of the two servers. With an `upstream`, a real
server without ILM or ISM, only those are played: the rest goes there, and the template less its
`index.lifecycle`, which that server does not know.
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import urllib3

from eventrouter.setup.mapping import Server
from tests.support.httpserver import Exchange, HttpServer

Json = dict[str, Any]
TIME = re.compile(r"[1-9]\d*[dhms]|0ms")
SECURITY = {Server.ELASTICSEARCH: "/_security/", Server.OPENSEARCH: "/_plugins/_security/"}
# The privilege that each path wants, by name.
PRIVILEGES = {
    "/_ilm/policy/": "manage_ilm",
    "/_index_template/": "manage_index_templates",
    "/_plugins/_ism/policies/": "policies",
}


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, reason: str, type_: str = "illegal_argument_exception"):
        super().__init__(reason)
        self.status = status
        self.body = {"error": {"type": type_, "reason": reason}, "status": status}


class SearchServer(HttpServer):
    """The server. Tests read and change its attributes while it runs."""

    def __init__(
        self,
        server: Server = Server.ELASTICSEARCH,
        *,
        upstream: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.server = server
        self.url = f"http://127.0.0.1:{self.port}"
        self.objects: dict[str, Json] = {}
        self.requests: list[tuple[str, str]] = []
        self.authorization: str | None = None  # the header that it wants, if any
        self.given: list[str | None] = []
        self.missing: set[str] = set()  # privileges that the login lacks
        self.keeps_writes = True
        # What the login may do with indices; None: there is no security.
        self.index_privileges: set[str] | None = None
        self.answer_next: list[tuple[int, bytes]] = []  # instead of an answer of its own
        self._is_elasticsearch = server is Server.ELASTICSEARCH
        self._upstream = upstream
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)
        self._sequence = 0

    def serve(self, exchange: Exchange) -> None:
        method = exchange.command
        body = exchange.body() if exchange.headers["Content-Length"] else b""
        url = urlsplit(exchange.path)
        self.requests.append((method, url.path))
        self.given.append(exchange.headers["Authorization"])
        if self.answer_next:
            exchange.reply(*self.answer_next.pop(0))
            return
        try:
            self._authorize(exchange, url.path)
            content = None
            if body:
                if exchange.headers["Content-Type"] != "application/json":
                    raise Refused(406, "Content-Type header is not supported")
                content = json.loads(body)
            status, answer = 200, self._answer(method, url.path, parse_qs(url.query), content)
        except Refused as refused:
            status, answer = refused.status, refused.body
        exchange.reply(status, json.dumps(answer).encode(), content_type="application/json")

    def writes(self) -> list[str]:
        """The paths that were written, in order."""
        return [path for method, path in self.requests if method == "PUT"]

    def forget(self) -> Self:
        """Forget the requests so far."""
        self.requests.clear()
        return self

    def put(self, path: str, body: Json) -> None:
        """Write an object past HTTP, as another tool may have done."""
        self._answer("PUT", path, {}, json.loads(json.dumps(body)))

    def _authorize(self, exchange: Exchange, path: str) -> None:
        if self.authorization and exchange.headers["Authorization"] != self.authorization:
            raise Refused(401, "unable to authenticate", "security_exception")
        if path.startswith(SECURITY[self.server]):
            return  # everybody may ask about himself
        privilege = next((name for at, name in PRIVILEGES.items() if path.startswith(at)), "view")
        if exchange.command == "DELETE":
            privilege = "delete_index"
        if privilege in self.missing:
            raise Refused(403, "action is unauthorized for user [setup]", "security_exception")

    def _answer(self, method: str, path: str, query: Json, content: Json | None) -> Json:
        name = path.rpartition("/")[2]
        if path == f"/_ilm/policy/{name}" and self._is_elasticsearch:
            if content is not None:
                return self._store(path, _checked_ilm(content))
            return {name: {"version": 1, "in_use_by": {"indices": []}, **self._stored(path)}}
        if path == f"/_plugins/_ism/policies/{name}" and not self._is_elasticsearch:
            if content is not None:
                return self._store_ism(path, name, query, content)
            return self._stored(path)
        if path.startswith(SECURITY[self.server]) and self.index_privileges is not None:
            return self._security(method, path, content)
        if self._upstream:
            return self._pass_on(method, path, content)
        if path == f"/_index_template/_simulate_index/{name}":
            return self._simulated(name)
        if path == f"/_index_template/{name}":
            if content is not None:
                return self._store(path, _checked_template(content))
            return {"index_templates": [{"name": name, "index_template": self._stored(path)}]}
        if method == "GET" and re.fullmatch(r"/[a-z0-9][^/]*", path):
            return {name: self._stored(path)}
        if method == "DELETE" and re.fullmatch(r"/[a-z0-9][^/*,]*", path):
            self._stored(path)
            del self.objects[path]
            return {"acknowledged": True}
        raise Refused(400, f"no handler found for uri [{path}] and method [{method}]")

    def _security(self, method: str, path: str, content: Json | None) -> Json:
        """elastic.co: Check user privileges. opensearch.org: Security APIs, authinfo."""
        assert self.index_privileges is not None
        user = {"user_name": "writer", "roles": ["kube-events-writer"], "backend_roles": []}
        if not self._is_elasticsearch and (method, path) == (
            "GET",
            f"{SECURITY[self.server]}authinfo",
        ):
            return user
        if (method, path) != (
            "POST",
            f"{SECURITY[self.server]}user/_has_privileges",
        ) or not content:
            raise Refused(400, f"no handler found for uri [{path}] and method [{method}]")
        _only(content, {"cluster", "index", "application"}, "has_privileges")
        index: Json = {}
        for wanted in content["index"]:
            _only(wanted, {"names", "privileges", "allow_restricted_indices"}, "index")
            has = {name: name in self.index_privileges for name in wanted["privileges"]}
            index |= dict.fromkeys(wanted["names"], has)
        has_all = all(all(has.values()) for has in index.values())
        return {
            "username": "writer",
            "has_all_requested": has_all,
            "cluster": {},
            "index": index,
            "application": {},
        }

    def _simulated(self, index: str) -> Json:
        """Both: Simulate index. The matching template of the highest priority."""
        templates = [
            content
            for path, content in self.objects.items()
            if path.startswith("/_index_template/")
            and any(fnmatch(index, pattern) for pattern in content["index_patterns"])
        ]
        chosen = max(templates, key=lambda content: content.get("priority", 0), default={})
        return {"template": chosen.get("template", {}), "overlapping": []}

    def _stored(self, path: str) -> Json:
        if path not in self.objects:
            raise Refused(404, f"[{path}] missing", "resource_not_found_exception")
        return self.objects[path]

    def _store(self, path: str, content: Json) -> Json:
        if self.keeps_writes:
            self.objects[path] = content
        return {"acknowledged": True}

    def _store_ism(self, path: str, name: str, query: Json, content: Json) -> Json:
        """OpenSearch takes an update only with the sequence number of what it replaces."""
        old = self.objects.get(path)
        wanted = {} if old is None else {
            "if_seq_no": [str(old["_seq_no"])],
            "if_primary_term": [str(old["_primary_term"])],
        }  # fmt: skip
        if query != wanted:
            raise Refused(409, "version conflict", "version_conflict_engine_exception")
        self._sequence += 1
        policy = _checked_ism(content)
        shown = {"policy_id": name, "last_updated_time": 1, "schema_version": 24, **policy}
        if not self.keeps_writes:
            return {"_id": name}
        self.objects[path] = {
            "_id": name, "_version": 1, "_seq_no": self._sequence, "_primary_term": 1,
            "policy": shown,
        }  # fmt: skip
        return {"_id": name, "policy": {"policy": shown}}

    def _pass_on(self, method: str, path: str, content: Json | None) -> Json:
        is_template = path.startswith("/_index_template/")
        if is_template and content is not None:
            content = json.loads(json.dumps(content))
            lifecycle = content["template"]["settings"]["index"].pop("lifecycle", None)
            self.objects[path] = {"lifecycle": lifecycle}
        answer = self._http.request(method, f"{self._upstream}{path}", json=content)
        decoded: Json = json.loads(answer.data)
        if answer.status >= 300:
            refused = Refused(answer.status, "")
            refused.body = decoded
            raise refused
        lifecycle = self.objects.get(path, {}).get("lifecycle")
        if is_template and content is None and lifecycle:
            template = decoded["index_templates"][0]["index_template"]["template"]
            template["settings"]["index"]["lifecycle"] = lifecycle
        return decoded


def _only(content: Json, allowed: set[str], where: str) -> None:
    if unknown := content.keys() - allowed:
        raise Refused(
            400, f"[{where}] unknown field {sorted(unknown)}", "x_content_parse_exception"
        )


def _checked_ilm(content: Json) -> Json:
    """elastic.co: Create or update lifecycle policy."""
    _only(content, {"policy"}, "put_lifecycle_request")
    policy = content["policy"]
    _only(policy, {"phases", "_meta"}, "policy")
    _only(policy["phases"], {"hot", "warm", "cold", "frozen", "delete"}, "phases")
    for name, phase in policy["phases"].items():
        _only(phase, {"min_age", "actions"}, name)
        if not TIME.fullmatch(phase["min_age"]):
            raise Refused(400, f"failed to parse [min_age] of [{name}]")
    _only(policy["phases"]["delete"]["actions"], {"delete", "wait_for_snapshot"}, "delete")
    return content


def _checked_ism(content: Json) -> Json:
    """opensearch.org: ISM API and policies; what it shows has its defaults filled in."""
    _only(content, {"policy"}, "request")
    policy: Json = json.loads(json.dumps(content["policy"]))
    _only(policy, {"description", "default_state", "states", "ism_template"}, "policy")
    names = {state["name"] for state in policy["states"]}
    assert policy["default_state"] in names
    for state in policy["states"]:
        _only(state, {"name", "actions", "transitions"}, "state")
        for action in state["actions"]:
            action["retry"] = {"count": 3, "backoff": "exponential", "delay": "1m"}
        for transition in state["transitions"]:
            assert transition["state_name"] in names
            assert TIME.fullmatch(transition["conditions"]["min_index_age"])
    for template in policy["ism_template"]:
        _only(template, {"index_patterns", "priority"}, "ism_template")
        template["last_updated_time"] = 1
    return policy


def _checked_template(content: Json) -> Json:
    """Both: Create or update index template. Settings are shown as text."""
    allowed = {"index_patterns", "priority", "template", "_meta", "version", "composed_of"}
    _only(content, allowed, "index_template")
    _only(content["template"], {"settings", "mappings", "aliases"}, "template")
    stored: Json = json.loads(json.dumps(content))
    settings = stored["template"].get("settings", {})
    settings["index"] = _as_text(settings.get("index", {}))
    return {"composed_of": [], **stored}


def _as_text(value: Any) -> Any:
    return {k: _as_text(v) for k, v in value.items()} if isinstance(value, dict) else str(value)
