from __future__ import annotations

import pytest

from gateway.text.formatting.words import counts, is_time_closed


@pytest.mark.parametrize("word", ["tickets", "people", "miles"])
def test_plurals_are_counted(word: str) -> None:
    assert counts(word)


@pytest.mark.parametrize("word", ["", "is", "was", "works", "main", "address", "yes"])
def test_other_words_are_not(word: str) -> None:
    assert not counts(word)


@pytest.mark.parametrize(
    ("after", "gap", "closed"),
    [("", "", True), ("", ".", True), ("and", ", ", True), ("today", " ", True), ("main", " ", False)],
)
def test_a_time_ends_with_its_clause(after: str, gap: str, closed: bool) -> None:
    assert is_time_closed(after, gap) is closed
