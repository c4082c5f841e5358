"""The bodies that setup writes, and how they are known again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from eventrouter.setup.mapping import Server, mappings
from eventrouter.setup.mark import VERSION, mark_in_meta, mark_in_text
from eventrouter.setup.objects import IndexTemplate, Parameters, SetupObject, objects
from eventrouter.setup.roles import setup_role, writer_role

ALL = [wanted for server in Server for wanted in objects(server, Parameters())]
# If a body changes, so does its digest: raise VERSION in mark.py, so that users get the new one.
DIGESTS = {
    1: {
        "Elasticsearch policy": "ef7d0e4bc71c",
        "Elasticsearch template": "9b6cd96139e3",
        "OpenSearch policy": "77f460281035",
        "OpenSearch template": "b3458e075e4a",
    },
    2: {
        "Elasticsearch policy": "ef7d0e4bc71c",
        "Elasticsearch template": "09f5314723a7",
        "OpenSearch policy": "77f460281035",
        "OpenSearch template": "7ffd04f78d31",
    },
}


def answer(wanted: SetupObject, body: Any) -> dict[str, Any]:
    """The server's answer to a GET, if it keeps the body as it is."""
    if isinstance(wanted, IndexTemplate):
        return {"index_templates": [{"name": wanted.name, "index_template": body}]}
    return {wanted.name: body, **body, "_seq_no": 1, "_primary_term": 1}


def fields(properties: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in properties.items():
        yield prefix + name, field
        yield from fields(field.get("properties", {}), f"{prefix}{name}.")


def test_a_body_changes_only_with_its_version() -> None:
    digests = {
        f"{server.value} {wanted.label.split()[1]}": wanted.mark.digest
        for server in Server
        for wanted in objects(server, Parameters())
    }

    assert digests == DIGESTS[VERSION]


@pytest.mark.parametrize("wanted", ALL, ids=str)
def test_an_object_is_known_again_and_a_change_to_it_is_seen(wanted: SetupObject) -> None:
    same = wanted.found(answer(wanted, wanted.body()))
    text = json.dumps(wanted.body())
    for ours, theirs in (("30d", "90d"), ('"text"', '"keyword"')):
        text = text.replace(f'age": "{ours}', f'age": "{theirs}').replace(
            f": {ours}", f": {theirs}"
        )
    changed = wanted.found(answer(wanted, json.loads(text)))

    assert (same.mark, same.digest) == (wanted.mark, wanted.mark.digest)
    assert changed.mark == wanted.mark
    assert changed.digest != wanted.mark.digest


@pytest.mark.parametrize(
    "meta",
    [None, {}, "eventrouter", {"managed_by": "helm"}, {"managed_by": "eventrouter"},
     {"managed_by": "eventrouter", "version": "1", "parameters": {}}],
)  # fmt: skip
def test_somebody_else_s_mark_is_none(meta: Any) -> None:
    assert mark_in_meta(meta) is None


@pytest.mark.parametrize("text", [None, 1, "", "Kubernetes events are deleted after 30 days"])
def test_somebody_else_s_description_is_no_mark(text: Any) -> None:
    assert mark_in_text(text) is None


@pytest.mark.parametrize("server", Server)
def test_the_prefix_is_in_every_name_and_pattern(server: Server) -> None:
    bodies = {wanted.path: wanted.body() for wanted in objects(server, Parameters(prefix="shop"))}

    assert all(path.endswith("/shop") for path in bodies)
    assert "kube-events" not in json.dumps(bodies)
    assert json.dumps(bodies).count('"shop-*"') == (1 if server is Server.ELASTICSEARCH else 2)


@pytest.mark.parametrize("server", Server)
def test_no_field_of_a_record_can_be_refused(server: Server) -> None:
    """A wrong number or date is ignored, and a long text is left out of the index."""
    mapping = mappings(server)
    guards = {
        "long": lambda field: field["ignore_malformed"],
        "date": lambda field: field["ignore_malformed"],
        "keyword": lambda field: field["ignore_above"] * 4 <= 32766,
        "flattened": lambda field: field["ignore_above"] * 4 <= 32766,
        "text": lambda field: field["fields"]["keyword"]["ignore_above"] * 4 <= 32766,
        "flat_object": lambda field: True,
        "object": lambda field: field["enabled"] is False,
    }

    assert mapping["dynamic"] is False
    for name, field in fields(mapping["properties"]):
        if "type" in field and name != "@timestamp":  # Fluent Bit makes that one
            assert guards[field["type"]](field), name


def test_the_servers_differ_only_in_labels_and_annotations() -> None:
    one, other = (dict(fields(mappings(server)["properties"])) for server in Server)

    differing = {name for name, field in one.items() if "type" in field and field != other[name]}
    assert one.keys() == other.keys()
    assert differing == {
        f"{of}.{name}" for of in ("event.metadata", "object") for name in ("labels", "annotations")
    }


@pytest.mark.parametrize("server", Server)
def test_the_writer_may_not_change_what_setup_makes(server: Server) -> None:
    writer, setup = (role(server, Parameters()) for role in (writer_role, setup_role))

    assert "manage" not in json.dumps(writer)
    assert "template" not in json.dumps(writer)
    assert "template" in json.dumps(setup)
