"""Dates and years, written or spoken: told by their shape and by the months around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.text.digits.numbers import Element, Form

__all__ = ["MONTHS", "is_date", "is_day_and_year", "is_year", "may_be_date"]

MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
"""A pattern for the months' names, lower case."""

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_CENTURIES = frozenset({"18", "19", "20"})
_TWO, _FOUR = 2, 4
_MONTHS_A_YEAR, _DAYS_A_MONTH = 12, 31
_NUMERIC = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})")
_ISO = re.compile(r"(\d{4})([/-])(\d{1,2})\2(\d{1,2})")
_MONTH_AND_DAY = re.compile(r"(\d{1,2})/(\d{1,2})")
# Splits of a digit string into month, day and year (or day, month and year).
_SPLITS = ((2, 2), (1, 2), (2, 1), (1, 1))


def is_year(elements: Sequence[Element]) -> bool:
    """True for a year: "1984", "nineteen eighty four", "twenty oh five", "two thousand and six"."""
    digits = "".join(one.digits for one in elements)
    if len(digits) != _FOUR or not digits.isdecimal() or not _FIRST_YEAR <= int(digits) <= _LAST_YEAR:
        return False
    if len(elements) == 1:
        return True
    head, *tail = elements
    spoken = head.digits in _CENTURIES and all(one.form in (Form.SPOKEN, Form.OH, Form.DIGIT) for one in elements)
    return spoken and (len(tail) == 1 or (len(tail) == _TWO and tail[0].form is Form.OH))


def is_day_and_year(elements: Sequence[Element]) -> bool:
    """True for what may stand behind a month: "3, 2024", "three twenty twenty four", "3", "2024"."""
    if len(elements) == 1 and _is_day(elements[0]):
        return True
    return is_year(elements) or (_is_day(elements[0]) and (is_year(elements[1:])))


def is_date(said: str, separators: Sequence[str], elements: Sequence[Element]) -> bool:
    """True for a whole date in numbers: "03/04/2024", "2024-03-04", "3/4", "three slash four slash twenty ten".

    Args:
        said: the text of the elements, from the first to the last.
        separators: what stands between them.
        elements: the numbers.
    """
    if match := _NUMERIC.fullmatch(said):
        first, mark, second, year = match.groups()
        return _are_day_and_month(first, second) and (mark == "/" or len(year) == _FOUR)
    if match := _ISO.fullmatch(said):
        return _are_day_and_month(match.group(3), match.group(4))
    if match := _MONTH_AND_DAY.fullmatch(said):
        return _are_day_and_month(match.group(1), match.group(2))
    if not any("slash" in one for one in separators):
        return False
    groups = [""]
    for index, one in enumerate(elements):
        if index and "slash" in separators[index - 1]:
            groups.append("")
        groups[-1] += one.digits
    if len(groups) != 3 or not all(group.isdecimal() for group in groups):
        return False
    return _are_day_and_month(groups[0], groups[1]) and len(groups[2]) in (_TWO, _FOUR)


def may_be_date(digits: str) -> bool:
    """True where a digit string can be read as month, day and year, in either order of the first two."""
    if not digits.isdecimal():
        return False
    for first, second in _SPLITS:
        year = digits[first + second :]
        full = len(year) == _FOUR and _FIRST_YEAR <= int(year) <= _LAST_YEAR
        if (full or len(year) == _TWO) and _are_day_and_month(digits[:first], digits[first : first + second]):
            return True
    return False


def _is_day(element: Element) -> bool:
    return element.count <= _TWO and element.digits.isdecimal() and 1 <= int(element.digits) <= _DAYS_A_MONTH


def _are_day_and_month(first: str, second: str) -> bool:
    low, high = sorted((int(first), int(second)))
    return 1 <= low <= _MONTHS_A_YEAR and high <= _DAYS_A_MONTH
