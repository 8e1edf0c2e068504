from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.digits.explained import explain, is_count_of_digits, is_pronoun
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.digits.runs import Run, find_runs
from gateway.text.redaction import Redactor


def runs(text: str) -> list[Run]:
    tokens = tokenize(text)
    return find_runs(text, tokens, elements(text, tokens), [], eager=False)


def explained(text: str) -> list[bool]:
    """Of each run with three digits or more, whether it is explained."""
    tokens = tokenize(text)
    told: list[bool] = []
    before: Run | None = None
    for run in runs(text):
        known = explain(text, tokens, run, before)
        before = run if known else None
        if run.count > 2:
            told.append(known)
    return told


@pytest.mark.parametrize(
    "text",
    [
        # prices
        "$1,250.00", "it is 19.99", "two hundred fifty dollars", "that's 1250 dollars", "it costs nineteen ninety nine",
        "they charged me three fifty for it", "19.99 a month, not 24.99", "nineteen ninety nine a month",
        "the balance is one hundred and four dollars", "$45.99 and $12.50",
        "it lost $3.5 million", "three point five million dollars", "one nineteen ninety nine a month",
        # quantities
        "order of 250 units", "1200 square feet", "we have 1,500 in stock", "about 1500 people", "a box of 144",
        "one hundred and twenty eight gigabytes", "a hundred and fifty chairs", "7200 rpm", "250 more units",
        "365 days", "99.99 percent", "twelve point five percent of 300 seats",
        "channels 114, 115 and 116", "100 to 150 people", "between 200 and 300", "1080p", "rate of 6.875",
        "bigger than 2000", "my blood pressure is 120 over 80", "rooms 101 and 102", "a 500 watt lamp",
        # years and dates
        "back in the 1990s", "it is a 2015.", "fiscal 2023", "the year was 2011",
        "in 2019", "since nineteen ninety eight", "back in twenty twenty one", "from 2019 to 2021",
        "between 2015 and 2018", "my 2015 Camry broke", "since two thousand and six", "in nineteen oh five",
        "March 3rd 2024", "March 3, 2024", "the third of March 2024", "on 3 March 2024", "03/04/2024", "2024-03-04",
        "oh three slash oh four slash twenty twenty four", "May twenty ten", "January 1, 2025 to December 31, 2026",
        "twenty twenty one was bad", "2021 was a bad year",
        # times
        "let's meet at 1430", "at fourteen thirty", "at 0900 hours", "at three thirty", "at 1030 this morning",
        "seven oh five p.m.", "from 8:00 to 16:30", "11:45", "10:30, 11:00 and 12:15",
        # what has a number by name
        "ticket is two seven seven one four", "ticket is 27714", "take the 405", "on the four oh five", "a Boeing 737",
        "an F 150", "flight 1492", "room 214", "error 404", "an Orbiter 4200", "case number is 30215", "call 911",
        # sayings
        "open 24/7", "it was fifty-fifty", "five hundred",
    ],
)  # fmt: skip
def test_the_words_around_explain_it(text: str) -> None:
    assert all(explained(text))


@pytest.mark.parametrize(
    "text",
    [
        "four one nine two", "4192", "41 92", "nineteen eighty four", "my code is 2019 today", "the number is 1998",
        "one hundred and fifty", "account 00123", "the combination is 250", "4 1 1 1 dollars", "three four five units",
        "123-45-6789", "12-04-19", "call 555 1234", "dial 5551234", "13/14/2020", "99/99", "ends in 2015",
        "my number is 250 thanks", "4192 works", "it is 4192, people say", "May 4111", "in 4111", "in 1985 and 4192",
        "at nine thirty three two", "my code is at 1431", "at 1432 Elm", "2021 was my code", "the 405 is mine",
        "at 1030 is mine", "1,2345",
    ],
)  # fmt: skip
def test_nothing_explains_it(text: str) -> None:
    assert not any(explained(text))


@pytest.mark.parametrize("text", ["one moment", "one of them", "the other one", "on the one hand"])
def test_one_is_a_pronoun(text: str) -> None:
    assert is_pronoun(tokenize(text), runs(text)[0])


@pytest.mark.parametrize("text", ["one", "one two", "it's one", "two moments"])
def test_one_is_a_digit(text: str) -> None:
    assert not is_pronoun(tokenize(text), runs(text)[0])


def test_a_count_of_digits_is_none_of_them() -> None:
    assert is_count_of_digits(tokenize("four digits"), runs("four digits")[0])
    assert is_count_of_digits(tokenize("the last four of it"), runs("the last four of it")[0])
    assert not is_count_of_digits(tokenize("four of it"), runs("four of it")[0])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it's 1999 a month, not 2499", "it's 1999 a month, not 2499"),
        ("My PIN is 9023, three times I tried", "My PIN is ####, three times I tried"),
        ("a Boeing 737, building 512, level 300", "a Boeing 737, building 512, level 300"),
        ("the 405 freeway and a 1099 form", "the 405 freeway and a 1099 form"),
        ("seven forty five in the morning", "seven forty five in the morning"),
        ("my credit score is 710, a 710 score", "my credit score is 710, a 710 score"),
        # Nothing of it makes a number harmless that is named as a secret, or goes on.
        ("1999 a month, and the PIN is 2499", "1999 a month, and the PIN is ####"),
        ("the code is 4117 form", "the code is #### form"),
        ("level 4117 5500 1234", "level #### #### ####"),
        ("it's 9023, three", "it's ####, #"),
    ],
)
def test_numbers_that_a_reader_knows(text: str, shown: str) -> None:
    assert Redactor().redact(text, Role.CUSTOMER).text == shown
