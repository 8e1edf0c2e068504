"""What was asked for: the phrases after which every number of the next turns is hidden."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Request", "find_request"]

_SUBJECTS = r"""
      pins? (?! \s+ (?: down | point | board | drop )\b )
    | p [. ] \s? i [. ] \s? n\b \.?
    | pen \s+ (?: number | code )                                # how recognizers hear "PIN number"
    | (?: card | cards ) \s+ (?: number | no\b | details | ending | information | is\b )
    | card's | card \s+ on \s+ (?: file )
    | numbers? \s+ (?: on | of | from ) \s+ (?: (?: the | your | my | that ) \s+ )? (?: \w+ \s+ )? card
    | (?: digits? | numbers? | code ) \s+ on \s+ (?: the | its ) \s+ (?: back | front )
    | (?: credit | debit ) \s+ cards?
    | (?: social \s+ security | (?: your | my | his | her | their ) \s+ social (?! \s+ media ) )
    | s [. ] \s? s [. ] \s? n\b \.? | ssn | socials?\s+number
    | cvv2? | cvc2? | cvn | c [. ] \s? v [. ] \s? [vc]\b \.?
    | (?: security | verification | access | pass | confirmation ) \s* code
    | (?: expir \w* | exp ) \s+ (?: date | month | year ) | expiry
    | (?: long | sixteen [- ] digit | 16 [- ] digit ) \s+ number
"""
_ASK = (
    r"(?: what | what's | which | give | read | tell | need | enter | confirm | verify | provide | share"
    r" | (?: can | could | may | let ) \s+ (?: i | we | me | us ) \s+ (?: please \s+ )?"
    r" (?: have | get | take | grab ) )"
)
_REQUEST = re.compile(
    rf"(?<!\w)(?: {_SUBJECTS} )(?!\w) | (?<!\w){_ASK}(?!\w)[^.?!]{{0,40}}?(?<!\w)card(?!\w)", re.IGNORECASE | re.VERBOSE
)
# "4 1 is my PIN": the number came first.
_BACKWARD = re.compile(
    r"(?:(?<!what )(?<!where )\bis|(?<!what)(?<!where)'s|\bwas|\bwere|\bfor|\bare)"
    r"\s+(?:my|the|your|our|her|his)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_LOOK_BEHIND = 48


@dataclass(frozen=True, slots=True)
class Request:
    """Where a card, PIN, SSN or CVV is asked for or named.

    Numbers from ``position`` on are hidden; ``backward`` tells that those before it are as well.
    """

    position: int
    backward: bool


def find_request(text: str) -> Request | None:
    """The first request in ``text``; None where there is none."""
    match = _REQUEST.search(text)
    if match is None:
        return None
    before = text[max(0, match.start() - _LOOK_BEHIND) : match.start()]
    return Request(match.end(), _BACKWARD.search(before) is not None)
