"""Bounded patterns find what the unbounded ones find in any text that is spoken."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from gateway.text.patterns import LONGEST_WORD, MOST_BLANKS, Lazy, bounded, bounding, prepare


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"a\s+b", r"a\s{1,4}b"),
        (r"[\s,.]*", r"[\s,.]{0,4}"),
        (r"\w+?x", r"\w{1,40}?x"),
        (r"(?:ab)*", r"(?:ab){0,40}"),
        # In a class, escaped, and with an end already: as they are.
        (r"[*+]\+\*", r"[*+]\+\*"),
        (r"[]+]", r"[]+]"),
        (r"[^\]*]x{2,3}+", r"[^\]*]x{2,3}+"),
        (r"\s++", r"\s++"),
        (r"[^\s]+", r"[^\s]{1,40}"),
    ],
)
def test_repetitions_get_an_end(pattern: str, expected: str) -> None:
    assert bounded(pattern) == expected


def test_what_is_longer_is_not_found() -> None:
    pattern = bounding(r"(?:^|,)\s+(?P<word>[A-Z]\w*)\s+street", re.IGNORECASE)
    assert pattern.search("I said, Elm   Street") is not None
    assert pattern.search("I said, Elm" + " " * (MOST_BLANKS + 1) + "Street") is None
    assert pattern.search("I said, " + "E" * (LONGEST_WORD + 2) + " Street") is None


def test_a_pattern_is_compiled_when_it_is_used() -> None:
    pattern = Lazy(r"a(?P<b>b+)", re.IGNORECASE)
    assert "compiled" not in vars(pattern)
    for match in (pattern.search("xABB"), pattern.match("xABB", 1), pattern.fullmatch("xABBx", 1, 4)):
        assert match is not None
        assert match.span("b") == (2, 4)
    assert [match.span() for match in pattern.finditer("ab ab ab", 1, 7)] == [(3, 5)]
    assert "compiled" in vars(pattern)


def test_all_patterns_of_a_module_are_compiled_at_once() -> None:
    module = ModuleType("module")
    one, two = Lazy("a"), Lazy("b")
    vars(module).update(one=one, more=(two, "c"), other=3)
    prepare(module)
    assert all("compiled" in vars(pattern) for pattern in (one, two))
