"""Ordinals that are digits of a secret, and those that tell which."""

from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.digits.numbers import Form, elements, tokenize
from gateway.text.digits.ordinals import with_ordinals
from gateway.text.redaction import Redactor


def read(text: str, *, alone: bool = True, unfinished: bool = False) -> str:
    tokens = tokenize(text)
    found = with_ordinals(text, tokens, elements(text, tokens), alone=alone, unfinished=unfinished)
    assert [one.start for one in found] == sorted(one.start for one in found)
    return " ".join(text[one.start : one.end] for one in found if one.form is Form.ORDINAL)


@pytest.mark.parametrize(
    ("text", "ordinals"),
    [
        ("seventh three nine two", "seventh"),
        ("7 3rd 9 2", "3rd"),
        ("fifty first eleven", "fifty first"),
        ("seven, third, ninth, second is my PIN", "third ninth second"),
        ("first four one one", "first"),
        # Alone, where the number should be.
        ("my PIN is seventh.", "seventh"),
        ("it's first", "first"),
        ("seventh", "seventh"),
        ("4th 1st 1st", "4th 1st 1st"),
        # What tells which, and what has a noun.
        ("the first four digits are 4 1 1 1", ""),
        ("first four digits", ""),
        ("four one one seven, second card", ""),
        ("it's four one one seven second card is 5500", ""),
        ("my second PIN is 4117", ""),
        ("one second, 4 1 1 7", ""),
        ("wait a second four one", ""),
        ("4117. First of all, thanks", ""),
        ("first, my card number is 4111", ""),
        ("It's my first card", ""),
        ("March 3rd 2024", ""),
        ("the 3rd of March 2024", ""),
        ("no number at all", ""),
    ],
)
def test_which_ordinals_are_digits(text: str, ordinals: str) -> None:
    assert read(text) == ordinals


def test_where_no_number_is_waited_for_only_those_beside_digits_are() -> None:
    assert read("it's first", alone=False) == ""
    assert read("it's first three", alone=False) == "first"


def test_an_unfinished_text_may_end_in_one() -> None:
    assert read("so that would then be seventh", unfinished=True) == "seventh"
    assert read("the first", unfinished=True) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("My PIN is seventh three nine two.", "My PIN is ####."),
        ("my PIN is 7 3rd 9 2", "my PIN is ####"),
        ("My pin number is seventh.", "My pin number is #."),
        ("my card number is fifty first", "my card number is ##"),
        ("the second card", "the second card"),
        ("I came third", "I came third"),
    ],
)
def test_they_are_hidden_by_their_digits(text: str, shown: str) -> None:
    assert Redactor().redact(text, Role.CUSTOMER).text == shown
    assert Redactor().preview(text, Role.CUSTOMER) == shown


def test_outside_of_a_request_they_stay() -> None:
    text = "seventh and eighth, then 3rd place"
    assert Redactor().redact(text, Role.CUSTOMER).text == text
