from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.text.digits.numbers import Form, elements, tokenize


def read(text: str) -> list[tuple[str, int, Form]]:
    return [(text[one.start : one.end], one.count, one.form) for one in elements(text, tokenize(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seven", [("seven", 1, Form.DIGIT)]),
        ("zero", [("zero", 1, Form.DIGIT)]),
        ("oh", [("oh", 1, Form.OH)]),
        ("twenty", [("twenty", 2, Form.SPOKEN)]),
        ("twenty-two", [("twenty-two", 2, Form.SPOKEN)]),
        ("twenty zero", [("twenty", 2, Form.SPOKEN), ("zero", 1, Form.DIGIT)]),
        ("twenty, two", [("twenty", 2, Form.SPOKEN), ("two", 1, Form.DIGIT)]),
        ("nineteen eighty four", [("nineteen", 2, Form.SPOKEN), ("eighty four", 2, Form.SPOKEN)]),
        ("double seven", [("double seven", 2, Form.SPOKEN)]),
        ("triple 5", [("triple 5", 3, Form.SPOKEN)]),
        ("double trouble", []),
        ("two hundred", [("two hundred", 3, Form.ROUND)]),
        ("two hundred and six", [("two hundred and six", 3, Form.SPOKEN)]),
        ("two hundred and counting", [("two hundred", 3, Form.ROUND)]),
        ("four thousand one hundred", [("four thousand one hundred", 4, Form.SPOKEN)]),
        ("two million", [("two million", 7, Form.ROUND)]),
        ("three million four thousand and five", [("three million four thousand and five", 7, Form.SPOKEN)]),
        ("5 thousand", [("5 thousand", 4, Form.ROUND)]),
        ("a hundred", []),
        ("a hundred and one", [("a hundred and one", 3, Form.SPOKEN)]),
        ("hundred", []),
        ("12345", [("12345", 5, Form.WRITTEN)]),
        ("22nd", []),
        ("222nd", [("222", 3, Form.WRITTEN)]),
        ("twenty first", []),
        ("anyone tenor", []),
        ("2²", [("2²", 2, Form.WRITTEN)]),
        ("٣ hundred", [("٣ hundred", 3, Form.ROUND)]),
    ],
)
def test_numbers_are_folded_to_digits(text: str, expected: list[tuple[str, int, Form]]) -> None:
    assert read(text) == expected


@given(st.integers(1, 999_999))
def test_a_written_number_has_its_own_digits(value: int) -> None:
    assert read(f"x {value} y") == [(str(value), len(str(value)), Form.WRITTEN)]


def test_every_digit_of_unicode_is_a_digit() -> None:
    digits = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isdigit()]
    assert len(digits) > 500
    assert [digit for digit in digits if not (tokenize(digit) and tokenize(digit)[0].digits)] == []


@given(st.text())
def test_tokens_lie_in_order_and_where_they_say(text: str) -> None:
    at = 0
    for token in tokenize(text):
        assert at <= token.start < token.end <= len(text)
        at = token.end


@given(st.text("0123456789 -,abcdefghijklmnopqrstuvwxyz"))
def test_numbers_lie_in_order_and_have_digits(text: str) -> None:
    at = 0
    for number in elements(text, tokenize(text)):
        assert at <= number.start < number.end
        assert number.count >= 1
        at = number.end
