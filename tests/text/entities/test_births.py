from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.entities.births import find_births
from gateway.text.entities.context import Context, Topic
from gateway.text.entities.mentions import find_mentions
from gateway.text.policy import Entity


def found(text: str, *, asked: bool = False) -> list[str]:
    tokens = tokenize(text)
    topics = {Entity.DOB: Topic(Role.CUSTOMER, 1)} if asked else {}
    context = Context(Role.CUSTOMER, find_mentions(text), topics)
    return [text[one.start : one.end] for one in find_births(text, tokens, elements(text, tokens), context)]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("My date of birth is March 4, 1985.", "March 4, 1985"),
        ("I was born on the twelfth of July nineteen seventy one", "the twelfth of July nineteen seventy one"),
        ("I was born on the 12th of July 1971", "the 12th of July 1971"),
        ("born 12 July 1971", "12 July 1971"),
        ("DOB 06/23/1990", "06/23/1990"),
        ("my birthday is October ninth, sixty eight", "October ninth, sixty eight"),
        ("I was born in 1985", "1985"),
    ],
)
def test_a_date_of_birth_that_is_named(text: str, date: str) -> None:
    assert found(text) == [date]


@pytest.mark.parametrize(
    "text", ["Eleven, two, nineteen fifty nine", "January 30th, 2001", "oh five, seventeen, eighty eight"]
)
def test_an_answer_is_one(text: str) -> None:
    assert found(text, asked=True) == [text]
    assert found(text) == []


def test_other_dates_are_none() -> None:
    assert found("it came on March 4, 1985") == []
    assert found("I called in 2019, and my birthday is May second") == ["May second"]
    assert found("I may come", asked=True) == []
    assert found("Your balance is $182.06.", asked=True) == []
