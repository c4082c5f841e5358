"""The types of outputs: their keys and descriptions from the schema, their defaults from the chart.

The tables in the chart's README and in docs/configuration.md are made of this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "eventrouter"
# What every type has; `required` is not here, since its default differs.
COMMON = ("enabled", "match", "limit", "rules", "egress", "extra")
# The same for every type that has them.
TLS = [f"`tls.{key}`" for key in ("verify", "existingSecret", "caKey", "certKey", "keyKey")]
_COMMON_DEFAULTS = {
    "match": "*",
    "limit": "",
    "rules": {"include": [], "exclude": []},
    "egress": {"to": [], "ports": []},
    "extra": {},
}

HEAD = ["key", "default", "meaning"]

Json = dict[str, Any]


class OutputTypes:
    """What a chart's files say of its types of outputs."""

    def __init__(self, chart: Path = CHART) -> None:
        schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
        self._definitions: Json = schema["definitions"]
        table = (chart / "files" / "outputs.yaml").read_text(encoding="utf-8")
        self.table: Json = yaml.safe_load(table)

    @property
    def names(self) -> list[str]:
        """The types that the schema takes."""
        names: list[str] = self._definitions["output"]["properties"]["type"]["enum"]
        return names

    def schema(self, name: str) -> Json:
        """The schema of a type's values, less the type itself."""
        schema = self._definitions[f"type.{name}"]
        properties = {key: value for key, value in schema["properties"].items() if key != "type"}
        return {**schema, "properties": properties}

    def resolve(self, schema: Json) -> Json:
        """A schema with its reference followed."""
        reference = schema.get("$ref", "").removeprefix("#/definitions/")
        resolved: Json = self._definitions[reference] if reference else schema
        return resolved

    def rows(self, schema: Json, defaults: Json, *, path: str = "") -> Iterator[list[str]]:
        """A row of key, default and description for each value."""
        for key, value in schema["properties"].items():
            found = self.resolve(value)
            default = defaults.get(key)
            if "properties" in found:
                yield from self.rows(found, default or {}, path=f"{path}{key}.")
            else:
                shown = "" if default is None else f"`{json.dumps(default)}`"
                yield [f"`{path}{key}`", shown, found["description"]]

    def tables(self, *, level: int) -> str:
        """The tables of all types, under headings of that level."""
        first = self.schema(self.names[0])["properties"]
        common = {key: first[key] for key in COMMON}
        tls = self.rows(
            {"properties": {"tls": first["tls"]}},
            {"tls": self.table[self.names[0]]["values"]["tls"]},
        )
        parts = [
            "Every output has these:\n",
            table(HEAD, self.rows({"properties": common}, _COMMON_DEFAULTS)),
            "Where `tls.enabled` is among the keys of the type, these go with it:\n",
            table(HEAD, (row for row in tls if row[0] in TLS)),
        ]
        for name in self.names:
            schema, values = self.schema(name), self.table[name]["values"]
            own = {key: value for key, value in schema["properties"].items() if key not in COMMON}
            rows = self.rows({"properties": own}, values)
            parts += [
                f"{'#' * level} `type: {name}`\n",
                f"{schema['description']}.{_turned_on(self.table[name]['address'])}\n",
                table(HEAD, (row for row in rows if row[0] not in TLS)),
            ]
        return "\n".join(parts)


def _turned_on(address: list[str]) -> str:
    if not address:
        return ""
    keys = " or ".join(f"`{key}`" for key in address)
    return f" It is on once {keys} is set."


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in cells) + "\n" for cells in lines
    )
