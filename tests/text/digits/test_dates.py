from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.text.digits.dates import is_date, is_day_and_year, is_year, may_be_date
from gateway.text.digits.numbers import Element, elements, tokenize


def read(text: str) -> list[Element]:
    return elements(text, tokenize(text))


@pytest.mark.parametrize(
    "text", ["1984", "2024", "nineteen eighty four", "twenty twenty four", "nineteen oh five", "two thousand and six"]
)
def test_years(text: str) -> None:
    assert is_year(read(text))


@pytest.mark.parametrize(
    "text", ["1492", "2100", "4192", "nineteen", "19 84", "one nine eight four", "two zero two zero"]
)
def test_no_years(text: str) -> None:
    assert not is_year(read(text))


@pytest.mark.parametrize("text", ["3", "31", "3, 2024", "three twenty twenty four", "2024"])
def test_what_stands_behind_a_month(text: str) -> None:
    assert is_day_and_year(read(text))


@pytest.mark.parametrize("text", ["32", "4 1 1 1", "3 1 2024", "0, 2024"])
def test_what_does_not(text: str) -> None:
    assert not is_day_and_year(read(text))


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("03/04/2024", True),
        ("3/4/24", True),
        ("31.12.2024", True),
        ("2024-12-31", True),
        ("4/27", True),
        ("three slash four slash twenty ten", True),
        ("12-04-19", False),
        ("31.12.24", False),
        ("13/14/2024", False),
        ("123/4/2024", False),
        ("2024-13-32", False),
        ("three slash four", False),
        ("three slash forty slash twenty ten", False),
        ("3 4 2024", False),
    ],
)
def test_whole_dates(text: str, date: bool) -> None:
    numbers = read(text)
    assert is_date(text, [text[left.end : right.start] for left, right in pairwise(numbers)], numbers) is date


@pytest.mark.parametrize("digits", ["3485", "030485", "03041985", "9999", "121985", "3141985"])
def test_digits_that_can_be_read_as_a_date(digits: str) -> None:
    assert may_be_date(digits)


@pytest.mark.parametrize("digits", ["", "12", "0314985", "00000000", "03041885", "123456789", "?314"])
def test_digits_that_cannot(digits: str) -> None:
    assert not may_be_date(digits)
