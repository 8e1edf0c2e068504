"""Sentences beside the labelled ones: what lies close to a rule's border."""

from __future__ import annotations

import pytest

from gateway.text.formatting import format_text

SENTENCES = [
    # One number, two, or a string of digits
    ("one hundred two hundred", "100 200"),
    ("between one thousand and two thousand", "between 1,000 and 2,000"),
    ("two million three hundred thousand dollars", "$2,300,000"),
    ("thirty forty people", "30 40 people"),
    ("twenty, thirty people", "20, 30 people"),
    ("two twenty dollar bills", "two $20 bills"),
    ("two twenty-dollar bills", "two $20 bills"),
    ("a twenty-four-hour hotline", "a 24-hour hotline"),
    ("Room twelve oh four.", "Room 1204."),
    ("eleven twenty six", "1126"),
    ("one double oh seven", "1007"),
    ("three or four hundred", "3 or 400"),
    ("four one", "="),
    ("one, two, three, four", "="),
    ("one, three, two, four", "1324"),
    ("4 one 1 one", "4111"),
    ("12 thirty four", "12 34"),
    ("3:30 and $25.99", "="),
    # A number that no unit follows takes a comma only if it is round
    ("four thousand one hundred and eleven", "4111"),
    ("five thousand", "5,000"),
    ("twelve hundred and one seats", "1,201 seats"),
    # Telephone numbers
    ("eight hundred five five five one two three four", "800-555-1234"),
    ("one eight hundred, five five five, one two three four", "1-800-555-1234"),
    ("account number four one five five five five one two three four", "account number 4155551234"),
    ("one two three four five six seven eight nine zero", "1234567890"),
    # Digits with words inside that may be digits
    ("seven four for nine two", "="),
    ("one six eight by eight seven eight", "="),
    ("four one one, I mean, four two", "="),
    ("four one um one one", "="),
    # Money, percent, decimals
    ("six to eight percent", "6 to 8%"),
    ("two million percent", "2 million%"),
    ("point five percent", "0.5%"),
    ("five dollars fifty.", "$5.50."),
    ("five dollars fifty times", "$5 50 times"),
    ("a million dollars", "$1 million"),
    ("three point one four one five nine", "3.14159"),
    ("version two point one point three", "version 2.1.3"),
    ("the point two of us made", "="),
    # Ordinals and dates
    ("one hundred and twenty first", "="),
    ("the one hundred and first", "="),
    ("two thousand and first", "="),
    ("the nineteen nineties", "="),
    ("May second", "May 2nd"),
    ("You may second that", "="),
    ("The march second in line", "="),
    ("january first two thousand", "january 1st 2000"),
    ("the eleventh, twelfth and thirteenth", "the 11th, 12th and 13th"),
    ("in two thousand homes", "in 2,000 homes"),
    # Times
    ("at three thirty Main Street", "at 330 Main Street"),
    ("it's ten to five", "it's 10 to 5"),
    ("a quarter to five", "="),
    ("thirteen thirty p.m.", "1330 p.m."),
    ("at three seventy", "at 370"),
    # Sayings
    ("open twenty-four seven", "="),
    ("Oh, twenty two of them", "Oh, 22 of them"),
    ("oh, four, one, one", "0411"),
]


@pytest.mark.parametrize(("spoken", "written"), SENTENCES, ids=[spoken for spoken, _ in SENTENCES])
def test_sentences(spoken: str, written: str) -> None:
    assert format_text(spoken).text == (spoken if written == "=" else written)
