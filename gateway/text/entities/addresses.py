"""Postal addresses: a house number and a street, flats, post office boxes, and the town and state behind them.

A street is told by its last word (the spoken ones of the list in appendix C1 of USPS Publication 28, and their common
abbreviations) and by the capitals of its name; where an address is asked for or named, a number and a street do without
either. A town alone is no secret: it is one behind a street, or as the answer to a request. Zip codes are an entity of
their own. Of libraries, pyap finds only addresses with their town, and usaddress needs to be told where one is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from gateway.text.digits.numbers import Element, Token
from gateway.text.entities.context import Context
from gateway.text.patterns import bounding
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["find_places"]

_TYPES = (
    r"(?:alley|avenue|ave|bayou|bend|boulevard|blvd|branch|bridge|bypass|causeway|circle|cir|close|common|commons|corner|court"
    r"|ct|cove|crescent|cres|creek|crossing|drive|dr|estates?|expressway|expy|extension|fork|freeway|fwy|gardens?|gate|glen"
    r"|green|grove|harbor|heights|highway|hwy|hills?|hollow|island|isle|junction|knolls?|lakes?|landing|lane|ln|loop|manor"
    r"|meadows?|mews|mill|mount|mountain|oval|parade|park|parkway|pkwy|pass|path|pike|pines?|place|pl|plaza|plz|point|ridge|rise"
    r"|road|rd|route|row|run|shores?|springs?|spur|square|sq|station|street|str|st|summit|terrace|ter|trace|track|trail|trl"
    r"|turnpike|tpke|valley|view|village|vista|walk|way|wharf)"
)
# Those that say hardly anything else: enough where the recognizer wrote no capitals.
_SURE_TYPES = r"(?:avenue|ave|boulevard|blvd|court|drive|lane|parkway|road|street|terrace)"
_DIRECTION = r"(?:north|south|east|west|(?:north|south)\s?(?:east|west)|[nsew]\b\.?|[ns]\.?[ew]\b\.?)"
_CAPITAL = r"(?:[A-Z][\w'’]*(?:-\w+)?|St\.|\d+(?:st|nd|rd|th)\b)"
_NAME_WORD = rf"(?:{_CAPITAL}|of|the|de|la|del|los|las)"
_ORDINAL = (
    r"(?i:(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[-\s])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth"
    r"|ninth|tenth|eleventh|twelfth|\w+teenth|\w+tieth|hundredth))"
)
_NUMBER_WORD = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty"
    r"|hundred|oh|zero)"
)
_STREET_NAME = rf"(?:(?i:{_DIRECTION})\s+)?(?:{_ORDINAL}|{_CAPITAL}(?:\s+{_NAME_WORD}){{0,3}})"
_BEHIND = rf"(?:\.?\s+(?i:{_DIRECTION})\b)?"
_STREET = rf"{_STREET_NAME}\s+(?i:{_TYPES})\b(?!['’]){_BEHIND}"
# "2 Green Valley shirts": of a name like this something must tell that it is at its end.
_CLEAR_STREET = (
    rf"{_STREET_NAME}\s+(?:(?i:{_SURE_TYPES})\b(?!['’])|(?=[A-Z])(?i:{_TYPES})\b"
    rf"(?=\s*(?:[,.;!?]|$)|\s+(?i:in|and|at|near|by|is|{_DIRECTION}|apartment|apt|unit|suite)\b)){_BEHIND}"
)
_NUMBERED_ROAD = (
    r"(?i:(?:(?:us|state|county|old|rural|interstate|farm)\s+)*(?:highway|hwy|route|road)\s+"
    rf"(?:\d+\w?|{_NUMBER_WORD}(?:[\s-]{_NUMBER_WORD})*)\b){_BEHIND}"
)
_LOWER_STREET = (
    rf"(?i:(?:{_DIRECTION}\s+)?(?!(?:percent|dollars?|minutes?|o'clock)\b)(?:[a-z][\w'’]*\s+){{1,3}}?"
    rf"{_SURE_TYPES}\b{_BEHIND})"
)
_UNIT = bounding(
    r"(?:^|[,.]?\s+)(?:(?:in|and|it's)\s+)?(?i:apartment|apt\b\.?|unit|suite|ste\b\.?|room|rm\b\.?|floor|flat|lot|trailer|building|bldg\b\.?"
    r"|number|condo|#)\s*(?i:(?:number|no\.)\s+|\#\s*|is\s+)?"
    rf"(?P<unit>\d+(?:[-\s]?[A-Za-z]\b)?|[A-Z]-?\d*\b|(?i:{_NUMBER_WORD}(?:[-\s]{_NUMBER_WORD})*)(?:\s+[A-Za-z]\b)?)"
    rf"|[,.]?\s+(?:(?:on|and)\s+)?(?i:the\s+)?(?P<storey>\d+(?:st|nd|rd|th)|{_ORDINAL})\s+(?i:floor)\b"
)
_FULL_STATES = (
    r"(?i:alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|georgia|hawaii|idaho|illinois|indiana"
    r"|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|mississippi|missouri|montana|nebraska"
    r"|nevada|new\s+(?:hampshire|jersey|mexico|york)|(?:north|south)\s+(?:carolina|dakota)|ohio|oklahoma|oregon|pennsylvania"
    r"|rhode\s+island|tennessee|texas|utah|vermont|virginia|washington(?:,?\s+d\.?\s?c\.?)?|west\s+virginia|wisconsin"
    r"|wyoming)\b"
)
_STATES = (
    rf"(?:{_FULL_STATES}|(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT"
    r"|V[AT]|W[AIVY])\b)"
)
_CITY = r"[A-Z][\w'’]+(?:-\w+)?\.?(?:\s+[A-Z][\w'’]+){0,2}"
_TOWN = bounding(
    r"(?:,\s+|\s+in\s+)(?!(?i:and|but|so|or|my|i|that|it|is|please|thanks?|zip|apt|unit)\b)"
    rf"(?:{_CITY}?,?\s+{_STATES}|{_STATES}|{_CITY}(?=\s*(?:[,.;!?]|$)|\s))"
    rf"|\s+{_CITY}?,?\s+{_STATES}|\s+{_STATES}|(?:,?\s+in|,)?(?:\s+[a-z]+){{1,2}}?,?\s+{_FULL_STATES}"
)
_AFTER_NUMBER = bounding(
    r"(?:\s?[A-Z]\b)?(?i:\s+(?:and\s+a\s+half|one\s+half|1/2))?,?\s+"
    rf"(?:{_CLEAR_STREET}|{_NUMBERED_ROAD})(?!\w)"
)
_AFTER_NUMBER_SURE = bounding(
    rf"(?:\s?[A-Z]\b)?,?\s+(?:{_STREET}|{_NUMBERED_ROAD}|{_LOWER_STREET}"
    rf"|{_CAPITAL}(?:\s+{_CAPITAL}){{0,2}}(?=\s*(?:[,.]|$)))(?!\w)"
)
_ON_STREET = bounding(
    rf"(?i:\b(?:live|lives|lived|living|located|house\s+is|home\s+is|moved|moving|reside|stay|staying)\s+(?:\w+\s+)?(?:on|at|off|to)\s+)(?P<street>{_STREET})"
)
_NAMED_STREET = bounding(_STREET)
_BOX = bounding(r"(?i:\b(?:p\.?\s?o\.?|post(?:al)?\s+office)\s*box(?:\s+number)?|\bpo\s?box)\s*(?=[\w#])")
_CITY_AND_STATE = bounding(rf"(?:^|(?<=\s)){_CITY}?,?\s+{_STATES}(?=\s*(?:[,.]|$|\d))")
_NAMES_ADDRESS = bounding(
    r"(?<!mail\s)(?<!IP\s)(?<!web\s)(?<!ip\s)\baddress\b|\b(?:live|lives)\s+(?:at|on)\b", re.IGNORECASE
)
_NO_STREET = bounding(
    r"(?i:january|february|march|april|may|june|july|august|september|october|november|december|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|[ap]\.?m\b|i\b|dollars?|percent|cents)\b"
)
# Of a flat only behind its street.
_ANY_NUMBER = bounding(r"[\s,.]*(?:(?:in|and|it's)\s+)?(?:number|#)", re.IGNORECASE)
_BEGUN_WORD = r"(?:\d+(?:st|nd|rd|th)\b|[^\W\d][\w'’-]*)"
# Behind a house number: the words that the text may still make a street's name.
_BEGUN = bounding(rf"[\s,]+{_BEGUN_WORD}(?:\s+{_BEGUN_WORD}){{0,3}}")
# What would make a street, or a town, of an unfinished text.
_ENDS = (" Street", ", Maine")
_MOST_DIGITS = 6
_MOST_UNITS = 4  # "building 2, floor 3, suite B", and a town
_THOUSANDS = 3  # "1,700"


def find_places(text: str, _tokens: Sequence[Token], numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """Addresses in ``text``, left to right; of a flat its number."""
    topic, mail = context.topics.get(Entity.ADDRESS), context.topics.get(Entity.EMAIL)
    asked = topic is not None and topic.by is context.role and (mail is None or mail.ago != topic.ago)
    spans = _find(text, numbers, asked=asked)
    if context.unfinished and (asked or _NAMES_ADDRESS.search(text) is not None):
        begun = (_BEGUN.match(text, end) for _, end in _houses(text, numbers))
        spans += [match.span() for match in begun if match is not None]
    for after in _ENDS if context.unfinished else ():
        spans += [(start, min(end, len(text))) for start, end in _find(text + after, numbers, asked=asked)]
    found: list[Hidden] = []
    for start, end in sorted(spans):
        if found and start < found[-1].end:
            found[-1] = Hidden(found[-1].start, max(end, found[-1].end), Entity.ADDRESS)
        elif start < end:
            found.append(Hidden(start, end, Entity.ADDRESS))
    return found


def _find(text: str, numbers: Sequence[Element], *, asked: bool) -> list[tuple[int, int]]:
    named = _NAMES_ADDRESS.search(text) is not None
    sure = asked or named
    spans: list[tuple[int, int]] = []
    houses = _houses(text, numbers)
    for start, end in houses:
        match = (_AFTER_NUMBER_SURE if sure else _AFTER_NUMBER).match(text, end)
        if match is not None and not _NO_STREET.match(match.group().lstrip(" ,")):
            spans += _with_tail(text, start, match.end())
    for match in _ON_STREET.finditer(text):
        spans += _with_tail(text, *match.span("street"))
    for match in _BOX.finditer(text):
        following = bisect_left(houses, (match.end(), 0))
        if following < len(houses) and houses[following][0] - match.end() <= 1:
            spans += _with_tail(text, match.start(), houses[following][1])
    if asked:
        for match in (*_NAMED_STREET.finditer(text), *_CITY_AND_STATE.finditer(text)):
            spans += _with_tail(text, *match.span())
    if sure:
        units = (match for match in _UNIT.finditer(text) if not _ANY_NUMBER.match(match.group()))
        spans += [match.span(match.lastgroup or 0) for match in units]
    return spans


def _houses(text: str, numbers: Sequence[Element]) -> list[tuple[int, int]]:
    """Numbers of houses: numbers said in a row without a pause, from the first to the last."""
    groups: list[list[Element]] = [[numbers[0]]] if numbers else []
    for left, right in pairwise(numbers):
        between = text[left.end : right.start]
        if between in (" ", "-") or (between == "," and right.count == _THOUSANDS):
            groups[-1].append(right)
        else:
            groups.append([right])
    return [(one[0].start, one[-1].end) for one in groups if sum(part.count for part in one) <= _MOST_DIGITS]


def _with_tail(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The span of a street, and of what belongs to it behind: a flat, the town and the state."""
    spans = [(start, end)]
    for _ in range(_MOST_UNITS):
        unit = _UNIT.match(text, end)
        town = _TOWN.match(text, end) if unit is None else None
        if unit is not None:
            spans.append(unit.span(unit.lastgroup or 0))
            end = unit.end()
        elif town is not None:
            spans[-1] = (spans[-1][0], town.end())
            break
        else:
            break
    return spans
