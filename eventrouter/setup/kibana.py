"""The data view and the dashboards, in Kibana or OpenSearch Dashboards.

Both have the same two calls for it: export and import of saved objects. The calls that read and
write single objects are deprecated in Kibana.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from urllib3.filepost import encode_multipart_formdata

from eventrouter.errors import TargetError, TargetUnusable
from eventrouter.setup.dashboards.saved_objects import SavedObject, ndjson
from eventrouter.setup.objects import Found
from eventrouter.setup.plan import Action, decide
from eventrouter.setup.report import Line
from eventrouter.setup.target import Target

Json = dict[str, Any]
Key = tuple[str, str]

IMPORT = "/api/saved_objects/_import?overwrite=true"
_EXPORT = "/api/saved_objects/_export"
# Kibana wants the one, OpenSearch Dashboards the other: so that no page can send it for a user.
_HEADERS = {"kbn-xsrf": "true", "osd-xsrf": "true"}
_PRIVILEGE = "the privilege All on Saved Objects Management in this space"


class Kibana:
    """Reads and writes saved objects."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def stored(self, wanted: Sequence[SavedObject]) -> dict[Key, Json]:
        """Those that are there, as they are. Raises TargetError.

        An export of objects fails if one is missing, and then names all that are.
        """
        status, data = self._export([each.key for each in wanted])
        if status == 400:
            missing = _missing(_decoded(data))
            there = [each.key for each in wanted if each.key not in missing]
            if missing and not there:
                return {}
            if missing:
                status, data = self._export(there)
        self._check(_EXPORT, status, data)
        return {(each["type"], each["id"]): each for each in _lines(data)}

    def write(self, objects: tuple[SavedObject, ...]) -> None:
        """Write them, over those of the same id. Raises TargetError."""
        file = ("events.ndjson", ndjson(objects), "application/ndjson")
        body, content_type = encode_multipart_formdata({"file": file})
        headers = {**_HEADERS, "Content-Type": content_type}
        status, data = self._target.send("POST", IMPORT, body, headers)
        self._check(IMPORT, status, data)
        answer = _decoded(data)
        if answer.get("success") is not True:
            raise TargetError(f"the import failed: {_import_errors(answer)}")

    def _export(self, keys: Iterable[Key]) -> tuple[int, bytes]:
        body = {
            "objects": [{"type": type_, "id": id_} for type_, id_ in keys],
            "excludeExportDetails": True,
        }
        headers = {**_HEADERS, "Content-Type": "application/json"}
        return self._target.send("POST", _EXPORT, json.dumps(body).encode(), headers)

    def _check(self, path: str, status: int, data: bytes) -> None:
        self._target.check_login(status, _PRIVILEGE)
        if status == 200:
            return
        answer = _decoded(data)
        if not answer:
            raise TargetUnusable(
                f"{self._target.url} is neither Kibana nor OpenSearch Dashboards, or has another"
                f" login: POST {path} answers {status}, without JSON",
                status=status,
            )
        reason = " ".join(str(answer.get("message") or answer.get("error") or answer)[:500].split())
        raise TargetError(f"POST {path} answers {status}: {reason}", status=status)


def set_up_kibana(
    kibana: Kibana, wanted: tuple[SavedObject, ...], *, force: bool, is_dry_run: bool
) -> Iterator[Line]:
    """Write what is missing or old. A line for each dashboard, and for each object that is left."""
    try:
        yield from _set_up(kibana, wanted, force=force, is_dry_run=is_dry_run)
    except TargetUnusable:
        raise
    except TargetError as error:
        yield Line("FAILED", "data view and dashboards", str(error), False)


def _set_up(
    kibana: Kibana, wanted: tuple[SavedObject, ...], *, force: bool, is_dry_run: bool
) -> Iterator[Line]:
    before = _found(wanted, kibana.stored(wanted))
    decisions = {each.key: decide(each, before.get(each.key), force=force) for each in wanted}
    to_write = tuple(each for each in wanted if decisions[each.key].action.is_write)
    written: dict[Key, Found] = {}
    if to_write and not is_dry_run:
        kibana.write(to_write)
        written = _found(to_write, kibana.stored(to_write))

    def line(each: SavedObject) -> Line:
        decision = decisions[each.key]
        if not decision.action.is_write:
            is_good = decision.action is not Action.LEAVE
            return Line(decision.action.value, str(each), decision.reason, is_good)
        if is_dry_run:
            return Line(f"would be {decision.action.value}", str(each), decision.reason, True)
        after = written.get(each.key)
        # An import with a reference to nothing is answered with success, and writes nothing.
        if after is None or after.mark != each.mark or after.digest != each.mark.digest:
            return Line("FAILED", str(each), "it was imported, and reads back different", False)
        return Line(decision.action.value, str(each), decision.reason, True)

    for page, objects in groupby(wanted, key=lambda each: each.page):
        yield from _of_page(page, [(each, line(each)) for each in objects])


def _of_page(page: str, lines: Sequence[tuple[SavedObject, Line]]) -> Iterator[Line]:
    """One line for the page's objects that fared alike, if nothing is left to do about them."""
    if not page:
        yield from (line for _, line in lines)
        return
    name = next(str(each) for each, _ in lines if each.type == "dashboard")
    good = [(each, line) for each, line in lines if line.is_good]
    for word in dict.fromkeys(line.word for _, line in good):
        number = sum(line.word == word for _, line in good)
        yield Line(word, name, f"{number} of {len(lines)} objects", True)
    yield from (line for _, line in lines if not line.is_good)


def _found(wanted: Iterable[SavedObject], stored: Mapping[Key, Json]) -> dict[Key, Found]:
    found = {}
    for each in wanted:
        if each.key in stored:
            try:
                found[each.key] = each.found(stored[each.key])
            except (KeyError, TypeError, ValueError, AttributeError):
                found[each.key] = Found(None, "")  # of another form, so somebody else's
    return found


def _missing(answer: Json) -> set[Key]:
    """The objects that an export did not find."""
    attributes = answer.get("attributes")
    objects = attributes.get("objects") if isinstance(attributes, dict) else None
    return {
        (str(each.get("type")), str(each.get("id")))
        for each in objects or ()
        if isinstance(each, dict)
    }


def _import_errors(answer: Json) -> str:
    """What the server says of the first objects that it did not take."""
    errors = answer.get("errors") or []
    texts = [
        f"{each.get('type')} {each.get('id')}: {json.dumps(each.get('error'))}"
        for each in errors[:3]
        if isinstance(each, dict)
    ]
    return "; ".join(texts)[:500] or "the server says no more"


def _decoded(data: bytes) -> Json:
    try:
        answer = json.loads(data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _lines(data: bytes) -> Iterator[Json]:
    """The objects of an export. Raises TargetUnusable if it is none."""
    try:
        for text in data.splitlines():
            each = json.loads(text)
            if {"type", "id", "attributes"} <= each.keys():
                yield each
    except (ValueError, AttributeError) as error:
        raise TargetUnusable("the export of saved objects is no NDJSON: is this Kibana?") from error
