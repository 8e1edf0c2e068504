"""What is asked for or named: the words that say which secret the numbers of the next turns are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.text.entities.password_cues import NAMING
from gateway.text.policy import Entity

__all__ = ["SECRETS", "Mention", "find_mentions"]

SECRETS = frozenset({Entity.CREDIT_CARD_NUMBER, Entity.CVV, Entity.PIN, Entity.SSN})
"""After a request for one of these every number of the next turns is hidden."""

_ASK = r"""
    (?: what | what's | which | give | read | tell | need | enter | confirm | verify | provide | share | repeat
      | (?: can | could | may | let ) \s+ (?: i | we | me | us ) \s+ (?: please \s+ )? (?: have | get | take | grab ) )
"""
# In the order in which they are tried where two begin at one place.
_NAMES: Mapping[str, str] = {
    "CVV": r"""
        cvv2? | cvc2? | cvn | c [. ] \s? v [. ] \s? [vc]\b \.?
      | card \s+ verification \s+ (?: code | number | value ) | (?: security | verification ) \s* code
      | (?: digits? | numbers? | code ) \s+ on \s+ (?: the | its ) \s+ (?: back | front )
      | (?: three | 3 ) [- ] digits? \s+ (?: code | number )
      """,
    "CREDIT_CARD_NUMBER": rf"""
        (?: card | cards ) \s+ (?: number | no\b | details | ending | information | is\b ) | card's
      | card \s+ on \s+ file
      | (?: long | sixteen [- ] digit | 16 [- ] digit ) \s+ number
      | numbers? \s+ (?: on | of | from ) \s+ (?: (?: the | your | my | that ) \s+ )? (?: \w+ \s+ )? card
      | (?: expir \w* | exp ) \s+ (?: date | month | year ) | expiry | expiration | expires
      | {_ASK} (?!\w) [^.?!]{{0,40}}? (?<!\w) card
      """,
    "CARD": r"""
        (?: (?: credit | debit | bank ) \s+ cards? | (?: my | the | your | this | that | a ) \s+ card )
        (?! \s+ (?: number | no\b | details | end | information | is\b | on \s+ file | verification | holder ) | 's )
      | visa | master \s? card | amex | american \s+ express
      """,
    "PIN": r"""
        pins? (?! \s+ (?: down | point | board | drop | it | them | up )\b )
      | p [. ] \s? i [. ] \s? n\b \.?
      | pen \s+ (?: number | code )                            # how recognizers hear "PIN number"
      | personal \s+ identification \s+ number
      | (?: access | pass | confirmation | secret | door | gate | alarm | unlock | entry | voicemail | one [- ] time )
        \s* code (?! \s+ (?: word | phrase ) )
      """,
    "SSN": r"""
        social \s+ security
      | (?: your | my | his | her | their | full | husband's | wife's ) \s+ social (?! \s+ media )
      | s [. ] \s? s [. ] \s? n\b \.? | ssn | socials? \s+ number | tax \s+ id | itin
      """,
    "PASSWORD": NAMING,
    "PHONE_NUMBER": r"""
        (?: phone | telephone | cell | cellphone | mobile | call \s? back | contact | fax | landline | direct )
        \s+ (?: phone \s+ )? (?: number | line | no\b )
      | my \s+ (?: cell | mobile ) | phone | area \s+ code
      | (?: call | reach | text | ring | phone | contact ) \s+ (?: me | us | him | her | them )
        \s+ (?: back \s+ )? (?: at | on )
      """,
    "NUMBER": r"my \s+ number",  # mostly a telephone's
    "DOB": r"dates? \s+ of \s+ birth | birth \s? dates? | birth \s? day | d \. \s? o \. \s? b \.? | dob | born",
    "ZIP": r"zip (?: [ -]? codes? )? | postal \s+ code | post \s? code",
    "EMAIL": r"e [- ]? mails?",
    "ADDRESS": r"address | live \s+ (?: at | on )",
    "NAME": r"(?: full | first | last | your | my | legal | maiden | account \s+ holder's ) \s+ name",
}
_LOOSE = {"CARD": Entity.CREDIT_CARD_NUMBER, "NUMBER": Entity.PHONE_NUMBER}
_MENTION = re.compile(
    r"(?<!\w)(?:" + "|".join(f"(?P<{name}>{words})" for name, words in _NAMES.items()) + r")(?!\w)",
    re.IGNORECASE | re.VERBOSE,
)
# One of these stands in every mention: most utterances have none, and are not searched.
_HINT = re.compile(
    r"card|cv[vcn]|c[. ]\s?v|code|digit|number|expir|exp\s|visa|amex|american|pin|p[. ]\s?i|pen\s|social|ssn|s[. ]\s?s"
    r"|tax\s|itin|pass|word|phrase|phone|cell|mobile|line|area|call|reach|text|ring|contact|birth|dob|d\.|born|zip|post|mail"
    r"|address|live|name|answer|question|first|maiden|pet|mascot|gr[eo]w|school|nickname",
    re.IGNORECASE,
)
# "4 1 is my PIN", "that's my PIN": the number came first.
_BACKWARD = re.compile(
    r"(?:(?<!what )(?<!where )\bis|(?<!what)(?<!where)'s|\bwas|\bwere|\bfor|\bare)"
    r"\s+(?:my|the|your|our|her|his)\s+(?:\w+\s+){0,2}$"
    r"|\b(?:is|was|are)\s+(?:that|this|it|those)\s+(?:my|the|your|our|her|his)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_ANAPHORIC = re.compile(
    r"\b(?:that's|that\s+is|that\s+was|this\s+is|those\s+are|these\s+are|those\s+were|(?:is|was|are|were)\s+(?:that|this|those|these))"
    r"\s+(?:my|the|your|our|her|his)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_LAST_FOUR = re.compile(r"\b(?:last|final|ending|ends)\b", re.IGNORECASE)
_LOOK_BEHIND = 48


@dataclass(frozen=True, slots=True)
class Mention:
    """``text[start:end]`` names or asks for something of ``entity``.

    ``firm``: it is asked for or told for sure; a card may only be spoken of, "my number" be any. ``backward``: the
    number came before; ``last``: it may have come in an utterance before ("that's my PIN"). ``part``: only its last
    digits.
    """

    entity: Entity
    start: int
    end: int
    firm: bool
    backward: bool
    last: bool
    part: bool


def find_mentions(text: str) -> tuple[Mention, ...]:
    """Every mention in ``text``, left to right."""
    if _HINT.search(text) is None:
        return ()
    return tuple(_mention(text, match) for match in _MENTION.finditer(text))


def _mention(text: str, match: re.Match[str]) -> Mention:
    name = match.lastgroup or ""
    entity = _LOOSE[name] if name in _LOOSE else Entity(name)
    before = text[max(0, match.start() - _LOOK_BEHIND) : match.start()]
    beside = before + text[match.start() : match.end() + _LOOK_BEHIND // 2]
    return Mention(
        entity,
        match.start(),
        match.end(),
        firm=name not in _LOOSE,
        backward=_BACKWARD.search(before) is not None,
        last=_ANAPHORIC.search(before) is not None,
        part=_LAST_FOUR.search(beside) is not None,
    )
