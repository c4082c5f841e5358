"""Every internal link of the documentation leads somewhere: to a file, and to a heading in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conventions.test_repository import ROOT, texts

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "charts").rglob("*.md")])

# [text](target), ![text](target), <a href="target">, <img src="target">, <source srcset="target">
_LINK = re.compile(r"\]\(([^()\s]+)\)|(?:href|src|srcset)=\"([^\"\s]+)\"")
_FENCE = re.compile(r"(?ms)^ *(```|~~~).*?^ *\1")
_HEADING = re.compile(r"(?m)^#{1,6} +(.+?)(?: +#+)?$")
_FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:")
# A page that code, a chart or a manifest names by its path from the root.
_MENTION = re.compile(r"(?<![\w./-])docs/[\w./-]+\.md(?:#[\w-]+)?")


def without_code(text: str) -> str:
    """The page less what is shown as code, in which nothing is a link."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


def links(page: Path) -> Iterator[str]:
    """The targets on a page that are not another site's."""
    for match in _LINK.finditer(without_code(page.read_text(encoding="utf-8"))):
        target = match[1] or match[2]
        if not _FOREIGN.match(target):
            yield target


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def fault(target: str, *, folder: Path, page: Path | None = None) -> str | None:
    """What is wrong with a target, seen from a folder; None if it leads somewhere."""
    name, _, anchor = target.partition("#")
    path = (folder / name).resolve() if name else page
    if path is None or not path.is_relative_to(ROOT) or not path.exists():
        return f"{target}: no such file"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path.read_text(encoding="utf-8"))):
        return f"{target}: no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    faults = [fault(target, folder=page.parent, page=page) for target in links(page)]

    assert not [text for text in faults if text]


def test_every_page_that_a_file_names_is_there() -> None:
    faults = [
        f"{name}: {text}"
        for name, content in texts()
        for target in _MENTION.findall(content)
        if (text := fault(target, folder=ROOT))
    ]

    assert not faults


def test_every_page_of_the_documentation_is_in_its_table_of_contents() -> None:
    contents = DOCS / "README.md"
    listed = {(DOCS / target.partition("#")[0]).resolve() for target in links(contents)}

    assert set(DOCS.rglob("*.md")) - {contents} <= listed


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## 401 or 403", "401-or-403"),
        ("### EventrouterDown", "eventrouterdown"),
        ("## Fluentd or Fluent Bit (forward)", "fluentd-or-fluent-bit-forward"),
        ("## When `old_event` is missing", "when-old_event-is-missing"),
        ("## See [the record](record.md) ##", "see-the-record"),
    ],
)
def test_a_heading_has_the_anchor_that_github_gives_it(heading: str, anchor: str) -> None:
    assert anchors(heading + "\n") == {anchor}


def test_a_second_heading_of_one_name_has_a_number() -> None:
    assert anchors("## Move\n## Move\n```\n# no heading\n```\n") == {"move", "move-1"}


def test_a_link_that_leads_nowhere_is_found() -> None:
    page = DOCS / "README.md"

    assert fault("nothing.md", folder=DOCS) == "nothing.md: no such file"
    assert fault("README.md#nothing", folder=DOCS) == "README.md#nothing: no such heading"
    assert fault("#nothing", folder=DOCS, page=page) == "#nothing: no such heading"
    assert fault("../../outside.md", folder=DOCS) == "../../outside.md: no such file"
    assert fault("README.md#reference", folder=DOCS) is None
