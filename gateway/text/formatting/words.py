"""The words around a number that say how it is written."""

from __future__ import annotations

from gateway.text.digits.numbers import vocabulary

__all__ = [
    "BEFORE_TIME",
    "BEFORE_YEAR",
    "CAPITAL_MONTHS",
    "DECADES",
    "HALF_DAYS",
    "LABELS",
    "MONTHS",
    "NO_PHONES",
    "RANGES",
    "UNITS",
    "VAGUE",
    "counts",
    "is_time_closed",
]

MONTHS = vocabulary(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec"
)
CAPITAL_MONTHS = frozenset({"may", "march", "mar", "jan"})
"""Months that are other words as well, unless they are written with a capital."""

BEFORE_YEAR = vocabulary(
    "in since by until till before after from year of during circa summer fall winter spring early late"
)
BEFORE_TIME = vocabulary("at by until till before after around from")
"""Behind these, two numbers are a time of day if the sentence parts there."""

HALF_DAYS = vocabulary("am pm a.m p.m o'clock")
_AFTER_TIME = vocabulary(
    "today tomorrow tonight yesterday sharp please monday tuesday wednesday thursday friday saturday sunday works"
)

_SHORT = 3
_NO_PLURALS = vocabulary(
    "does this thus thanks works ends matches expires goes says comes shows appears belongs means seems looks needs "
    "gets always perhaps sometimes across besides unless guess likes sounds happens starts stands rings reads lets "
    "address pass access slash hers ours yours theirs gives makes plus minus that's here's there's what's let's"
)

LABELS = vocabulary(
    "press option room extension gate suite apartment unit page version flight route highway channel zone terminal"
)
"""Behind these a single digit is a name and no count."""

UNITS = vocabulary(
    "percent cents cent degrees gigabytes gigabyte megabytes megabyte gigs megabits gigabits kilobytes milligrams "
    "kilograms kilometers millimeters centimeters volts volt amps watts watt o'clock"
)
"""Before these a single digit is written as one."""

VAGUE = vocabulary("something odd some")
"""Behind a number that is none: "twenty something"."""

DECADES = vocabulary("twenties thirties forties fifties sixties seventies eighties nineties hundreds")

RANGES = vocabulary("to or through")
NO_PHONES = vocabulary(
    "account order confirmation tracking reference card policy member case ticket invoice serial routing claim"
)
"""Ten digits soon behind these are no telephone number."""


def is_time_closed(after: str, gap: str) -> bool:
    """Whether a time of day ends where ``gap`` and the word ``after`` follow: not before "Main Street"."""
    return not after or gap.strip() != "" or after in _AFTER_TIME


def counts(after: str) -> bool:
    """Whether the word behind a number is what it counts: a plural.

    Only then, for money and for round numbers are thousands parted by commas: "2,500 tickets", but "number 2500". A
    comma says that it is a quantity and no secret.
    """
    return after == "people" or (len(after) > _SHORT and after.endswith("s") and after not in _NO_PLURALS)
