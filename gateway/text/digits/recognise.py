"""Which entity a run of digits is, by its digits: cards, social security numbers, telephone numbers.

What can be computed is left to libraries that keep up with it: Luhn and SSN ranges to python-stdnum, telephone numbers
to phonenumbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import accumulate

from phonenumbers import NumberParseException, is_valid_number, parse
from stdnum import luhn
from stdnum.us import ssn

from gateway.text.digits import dates
from gateway.text.digits.numbers import Element, Form
from gateway.text.policy import Entity

__all__ = ["is_card", "length_rule", "of_topic", "recognise"]

# First digits and lengths of payment cards (ISO/IEC 7812; the schemes' published ranges): American Express, Diners
# Club, JCB, Visa, Mastercard, Maestro, Discover, UnionPay.
_ISSUED = re.compile(
    r"3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|35\d{14,17}|4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}"
    r"|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|(?:5[06-8]|6\d)\d{10,17}"
)
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_SSN_GROUPS = (3, 2, 4)
_SSN_DIGITS = 9
_PHONE_DIGITS = (10, 11)
_LOCAL_PHONE, _LONGEST_PHONE = 7, 15
_ZIP_DIGITS = (5, 9)
_LONG = 5
_RULES = {3: Entity.DIGITS_3, 4: Entity.DIGITS_4, 9: Entity.DIGITS_9, 10: Entity.DIGITS_10}


def is_card(digits: str) -> bool:
    """True for the number of a payment card: an issuer's range, its length and the check digit."""
    return _ISSUED.fullmatch(digits) is not None and luhn.is_valid(digits)


def recognise(elements: Sequence[Element], digits: str) -> Entity | None:
    """What a run is by itself.

    Args:
        elements: its numbers.
        digits: its digits, with those that earlier utterances begin it with.
    """
    if len(digits) >= _SHORTEST_CARD and _holds_card(elements, digits):
        return Entity.CREDIT_CARD_NUMBER
    if len(digits) == _SSN_DIGITS and digits.isdecimal() and _grouped(elements) and ssn.is_valid(digits):
        return Entity.SSN
    if len(digits) in _PHONE_DIGITS and digits.isdecimal() and _is_phone(digits):
        return Entity.PHONE_NUMBER
    return None


def of_topic(digits: str, topics: Collection[Entity]) -> Entity | None:
    """What a run is by what is talked of, where its digits agree."""
    if Entity.ZIP in topics and len(digits) in _ZIP_DIGITS:
        return Entity.ZIP
    if Entity.DOB in topics and dates.may_be_date(digits):
        return Entity.DOB
    if Entity.PHONE_NUMBER in topics and _LOCAL_PHONE <= len(digits) <= _LONGEST_PHONE:
        return Entity.PHONE_NUMBER
    return None


def length_rule(count: int) -> Entity | None:
    """The rule for a run of so many digits; None for what is too short to be hidden by itself."""
    return _RULES.get(count, Entity.DIGITS_LONG if count >= _LONG else None)


def _holds_card(elements: Sequence[Element], digits: str) -> bool:
    """True where the digits are a card's, or numbers in the run are: it was begun twice, or an expiry date follows."""
    if is_card(digits):
        return True
    own = "".join(one.digits for one in elements)
    borders = (0, *accumulate(one.count for one in elements))
    return any(
        is_card(own[start:end])
        for start in borders
        for end in borders
        if _SHORTEST_CARD <= end - start <= _LONGEST_CARD
    )


def _grouped(elements: Sequence[Element]) -> bool:
    """True for three, two and four digits; groups of single digits may be anything."""
    written = tuple(one.count for one in elements)
    return written == _SSN_GROUPS or all(one.single or one.form is not Form.WRITTEN for one in elements)


def _is_phone(digits: str) -> bool:
    try:
        return is_valid_number(parse(digits, "US"))
    except NumberParseException:
        return False
