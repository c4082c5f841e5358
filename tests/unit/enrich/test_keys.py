"""Which labels and annotations a record may carry."""

from __future__ import annotations

import pytest

from eventrouter.enrich.keys import parse_annotation_keys, parse_label_keys, select

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def test_keys_are_named() -> None:
    assert parse_label_keys("app, team app.kubernetes.io/name") == (
        "app",
        "team",
        "app.kubernetes.io/name",
    )


def test_a_star_is_all_labels() -> None:
    keys = parse_label_keys("app,*")

    assert select({"a": "1", "b": "2"}, keys) == {"a": "1", "b": "2"}


def test_only_the_named_ones_are_selected() -> None:
    assert select({"a": "1", "b": "2"}, ("b", "c")) == {"b": "2"}


@pytest.mark.parametrize("text", ["", ",", "a/b/c", "-a", "a-", "A.io/x", "/x", "x/", "a b/", "ä"])
def test_what_is_no_key_is_refused(text: str) -> None:
    for parse in (parse_label_keys, parse_annotation_keys):
        with pytest.raises(ValueError, match="key"):
            parse(text)


def test_a_key_with_more_than_63_characters_is_none() -> None:
    with pytest.raises(ValueError, match="no key"):
        parse_label_keys("x" * 64)


@pytest.mark.parametrize("text", ["*", "team,*", LAST_APPLIED, f"team, {LAST_APPLIED}"])
def test_annotations_that_hold_whole_specs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="secrets"):
        parse_annotation_keys(text)
