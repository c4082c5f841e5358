"""Which labels and annotations a record may carry: allow-lists of keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

ALL = "*"
# kubectl's copy of the whole object, with whatever secret somebody wrote into its spec.
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_PART = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
# apimachinery's qualified name: an optional DNS subdomain, then a name.
_KEY = re.compile(rf"(?:{_PART}(?:\.{_PART})*/)?[0-9A-Za-z](?:[-0-9A-Za-z_.]{{0,61}}[0-9A-Za-z])?")


def parse_label_keys(text: str) -> tuple[str, ...]:
    """Keys of labels with commas or blanks between them, or `*` for all of them."""
    keys = _parse(text, what="label")
    return (ALL,) if ALL in keys else keys


def parse_annotation_keys(text: str) -> tuple[str, ...]:
    """Keys of annotations with commas or blanks between them. Raises ValueError for `*` too."""
    keys = _parse(text, what="annotation")
    if ALL in keys:
        raise ValueError(
            "refused for annotations: they hold whole specs with their secrets; name each key"
        )
    if any(key.lower() == LAST_APPLIED for key in keys):
        raise ValueError("refused: this annotation holds the whole object with its secrets")
    return keys


def _parse(text: str, *, what: str) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if not keys:
        raise ValueError(f"empty; write keys of {what}s, as in app.kubernetes.io/name")
    for key in keys:
        if key != ALL and not _KEY.fullmatch(key):
            raise ValueError(f"not a list of keys: {key} is no key of a {what}")
    return keys


def select(values: Mapping[str, str], keys: tuple[str, ...]) -> dict[str, str]:
    """Those values whose keys are allowed."""
    if ALL in keys:
        return dict(values)
    return {key: values[key] for key in keys if key in values}
