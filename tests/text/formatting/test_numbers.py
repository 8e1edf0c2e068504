from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.text.digits.numbers import tokenize
from gateway.text.formatting.numbers import Kind, Numeral, Reader, suffixed

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = [(10**9, "billion"), (10**6, "million"), (10**3, "thousand")]


def read(text: str) -> Numeral | None:
    return Reader(text, tokenize(text)).read(0)


def spoken(value: int, link: str) -> str:
    """A number as it is said; ``link`` joins hundreds with what follows."""
    for scale, name in SCALES:
        if value >= scale:
            rest = value % scale
            return f"{spoken(value // scale, link)} {name}" + (f" {spoken(rest, link)}" if rest else "")
    if value >= 100:
        rest = value % 100
        return f"{ONES[value // 100]} hundred" + (f"{link}{spoken(rest, link)}" if rest else "")
    if value >= 20:
        return TENS[value // 10] + (f"-{ONES[value % 10]}" if value % 10 else "")
    return ONES[value]


@given(st.integers(0, 10**12 - 1), st.sampled_from([" ", " and "]))
def test_every_number_has_its_value(value: int, link: str) -> None:
    text = spoken(value, link)
    numeral = read(text)
    assert numeral is not None
    assert numeral.end == len(tokenize(text)) - 1
    scale = next((scale for scale, name in SCALES if numeral.end > numeral.last and text.endswith(name)), 1)
    assert int(numeral.digits) * scale == value


@pytest.mark.parametrize(
    ("text", "digits", "kind"),
    [
        ("oh", "0", Kind.OH),
        ("double seven", "77", Kind.REPEAT),
        ("triple oh", "000", Kind.REPEAT),
        ("4 people", "4", Kind.DIGIT),
        ("seventeen", "17", Kind.PAIR),
        ("twenty-two", "22", Kind.PAIR),
        ("twenty, two", "20", Kind.PAIR),
        ("eight hundred", "800", Kind.HUNDREDS),
        ("eight hundred five five five", "800", Kind.HUNDREDS),
        ("eight hundred five people", "805", Kind.CARDINAL),
        ("nineteen hundred", "1900", Kind.CARDINAL),
        ("a hundred", "100", Kind.ARTICLE),
        ("a hundred and one", "101", Kind.CARDINAL),
        ("a thousand", "1000", Kind.ARTICLE),
        ("two hundred and three hundred", "200", Kind.HUNDREDS),
        ("three point oh five", "3.05", Kind.DECIMAL),
        ("three point", "3", Kind.DIGIT),
        ("twelfth", "12", Kind.ORDINAL),
        ("thirty-first", "31", Kind.ORDINAL),
    ],
)
def test_numbers(text: str, digits: str, kind: Kind) -> None:
    numeral = read(text)
    assert numeral is not None
    assert (numeral.digits, numeral.kind) == (digits, kind)


@pytest.mark.parametrize("text", ["double check", "a dog", "1234", "hundred", "first", "point five", "double"])
def test_no_numbers(text: str) -> None:
    assert read(text) is None


def test_only_a_number_with_nothing_behind_its_multiplier_is_round() -> None:
    numerals = [read(text) for text in ("five thousand", "fifteen hundred", "five thousand and one", "forty")]
    assert [numeral is not None and numeral.round for numeral in numerals] == [True, True, False, False]


@pytest.mark.parametrize(
    ("digits", "ordinal"),
    [
        ("1", "1st"),
        ("2", "2nd"),
        ("3", "3rd"),
        ("4", "4th"),
        ("11", "11th"),
        ("12", "12th"),
        ("13", "13th"),
        ("21", "21st"),
    ],
)
def test_ordinals(digits: str, ordinal: str) -> None:
    assert suffixed(digits) == ordinal
