"""The mark on an object that setup made: by whom, in which version, with which parameters. Pure.

The digest in it tells whether somebody has changed the object since.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# One higher with every change of a body: a test holds the digests of the current one.
VERSION = 2
_MAKER = "eventrouter"
# An ISM policy has no `_meta`: its description carries the mark.
_IN_TEXT = re.compile(r"Managed by eventrouter: version=(\d+)((?: [a-z]+=\S+)*) digest=(\w+)")
# Fields that servers add when they store or show an object.
_ADDED = {"last_updated_time", "retry"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Who made an object is us; `parameters` are the settings that are in it, as text."""

    version: int
    parameters: Mapping[str, str]
    digest: str

    def as_meta(self, description: str) -> Json:
        """The `_meta` of a policy or template."""
        return {
            "description": description,
            "managed_by": _MAKER,
            "version": self.version,
            "parameters": dict(self.parameters),
            "digest": self.digest,
        }

    def as_text(self, description: str) -> str:
        """The description of an object that has no `_meta`."""
        parameters = "".join(f" {name}={value}" for name, value in self.parameters.items())
        return (
            f"{description}. Managed by eventrouter:"
            f" version={self.version}{parameters} digest={self.digest}"
        )


def mark_in_meta(meta: object) -> Mark | None:
    """The mark in a `_meta`; None if it is somebody else's."""
    if not isinstance(meta, dict) or meta.get("managed_by") != _MAKER:
        return None
    version, parameters, digest = (meta.get(name) for name in ("version", "parameters", "digest"))
    if not isinstance(version, int) or not isinstance(parameters, dict):
        return None
    texts = {str(name): str(value) for name, value in parameters.items()}
    return Mark(version, texts, str(digest))


def mark_in_text(text: object) -> Mark | None:
    """The mark in a description; None if it is somebody else's."""
    found = _IN_TEXT.search(text) if isinstance(text, str) else None
    if found is None:
        return None
    parameters = dict(word.split("=", 1) for word in found[2].split())
    return Mark(int(found[1]), parameters, found[3])


def digest(content: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    """Of these fields, the same before an object is stored and after."""
    plain = {name: _plain(content[name]) for name in fields if content.get(name)}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    """Servers show numbers and booleans of settings as text."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name not in _ADDED}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None else str(value)
