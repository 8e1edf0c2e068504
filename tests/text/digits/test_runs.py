from __future__ import annotations

import pytest

from gateway.text.digits.numbers import elements, tokenize
from gateway.text.digits.runs import Run, find_runs


def read(text: str, *, eager: bool = False) -> list[Run]:
    tokens = tokenize(text)
    return find_runs(text, tokens, elements(text, tokens), [], eager=eager)


def shown(text: str, *, eager: bool = False) -> list[str]:
    return [text[run.elements[0].start : run.elements[-1].end] for run in read(text, eager=eager)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", ["one two three"]),
        ("one, um, two and then three", ["one, um, two and then three"]),
        ("one dog two cats", ["one", "two"]),
        ("four one for one", ["four one for one"]),
        ("two for one", ["two", "one"]),
        ("twenty for thirty", ["twenty", "thirty"]),
        ("Oh, twenty two", ["twenty two"]),
        ("oh, four, one", ["oh, four, one"]),
        ("oh", []),
        ("12 #### 34", ["12", "34"]),
        ("one six eight by eight seven four", ["one six eight by eight seven four"]),
        ("two by four", ["two", "four"]),
    ],
)
def test_numbers_are_joined_into_runs(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("oh", ["oh"]), ("oh well", ["oh"]), ("oh dear", []), ("seven three ball two", ["seven three ball two"])],
)
def test_where_numbers_are_expected_doubtful_digits_count(text: str, expected: list[str]) -> None:
    assert shown(text, eager=True) == expected


def test_a_run_tells_its_digits_and_which_ends_it_touches() -> None:
    first, last = read("um 12 dogs, twenty two okay")
    assert (first.count, first.at_start, first.at_end) == (2, True, False)
    assert (last.count, last.at_start, last.at_end) == (2, False, True)


def test_no_run_enters_or_crosses_a_cut() -> None:
    text = "12 34 56"
    tokens = tokenize(text)
    runs = find_runs(text, tokens, elements(text, tokens), [(3, 5)], eager=False)
    assert [run.count for run in runs] == [2, 2]
