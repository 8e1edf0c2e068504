"""Ordinals that are misheard or misread digits: "seventh three nine two", "7 3rd 9 2", "fifty first".

An ordinal is no number to the rest of redaction ("the second card", "March 3rd"). Where digits of a secret are waited
for it is one beside digits, and alone where the number should stand, unless it tells which ("the first four digits",
"a second") or a noun follows ("seven three nine, second card").
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from gateway.text.digits import dates
from gateway.text.digits.numbers import Element, Form, Token, vocabulary
from gateway.text.digits.runs import JOINERS

__all__ = ["with_ordinals"]

_UNITS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
_TEENS = [
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {
    **{word: value for value, word in enumerate((*_UNITS, *_TEENS), 1)},
    **{f"{word[:-1]}ieth": value * 10 for value, word in enumerate(_TENS, 2)},
}
_TENS_VALUES = {word: value * 10 for value, word in enumerate(_TENS, 2)}
_SUFFIXES = frozenset({"st", "nd", "rd", "th"})
_MOST_JOINERS = 2
_TELLS_WHICH = vocabulary("the a an my your his her its our their this that every each another per what which")
_DIGIT_NOUNS = vocabulary("digit digits number numbers letter letters character characters of")
# What goes on behind a number; any other word behind an ordinal is the noun that it belongs to.
_AFTER_NUMBER = vocabulary(
    "is are was were it it's that's that this please thanks thank sir ma'am for my the i i'm expires expiring exp with "
    "to too right correct then but"
)
_BEFORE_NUMBER = vocabulary("is was are it's that's it number pin code cvv ssn social digits be says reads security")
_MONTH = re.compile(rf"{dates.MONTHS}|of", re.IGNORECASE)
_STOP = re.compile(r"[.?!;:…]")
_START = attrgetter("start")


def with_ordinals(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], *, alone: bool, unfinished: bool = False
) -> Sequence[Element]:
    """``numbers`` with the ordinals that are digits of a secret, left to right.

    Args:
        text: the text.
        tokens: its tokens.
        numbers: its numbers.
        alone: a number is waited for: an ordinal may be it.
        unfinished: the text may stop anywhere: what follows its last word is not known.
    """
    ordinals = [one for one in _ordinals(tokens) if not _is_date(tokens, one)]
    if not ordinals:
        return numbers
    reader = _Reader(text, tokens, unfinished=unfinished)
    known = list(numbers)
    # From either side, for one ordinal beside digits makes the next one a digit.
    for ordinal in chain(ordinals, reversed(ordinals)):
        if ordinal not in known and (reader.beside(ordinal, known) or (alone and reader.at_place(ordinal))):
            insort(known, ordinal, key=_START)
    return known


def _ordinals(tokens: Sequence[Token]) -> list[Element]:
    found = []
    for index, token in enumerate(tokens):
        value, first = _VALUES.get(token.word, 0), index
        if value and value < len(_UNITS) + 1 and index and tokens[index - 1].word in _TENS_VALUES:
            value, first = value + _TENS_VALUES[tokens[index - 1].word], index - 1
        if token.word in _SUFFIXES and index and tokens[index - 1].digits and tokens[index - 1].end == token.start:
            value, first = -1, index - 1
        if value:
            digits = str(value) if value > 0 else "0" * len(tokens[first].word)
            found.append(Element(first, index, tokens[first].start, token.end, digits, Form.ORDINAL))
    return found


def _is_ordinal(word: str) -> bool:
    return word in _VALUES or word in _SUFFIXES


def _is_date(tokens: Sequence[Token], ordinal: Element) -> bool:
    near = [index for index in (ordinal.first - 1, ordinal.last + 1) if 0 <= index < len(tokens)]
    return any(_MONTH.fullmatch(tokens[index].word) for index in near)


class _Reader:
    """Looks at what stands around an ordinal."""

    def __init__(self, text: str, tokens: Sequence[Token], *, unfinished: bool) -> None:
        self._text = text
        self._tokens = tokens
        self._unfinished = unfinished

    def beside(self, ordinal: Element, numbers: Sequence[Element]) -> bool:
        """Whether a number stands beside, and neither tells what the ordinal is of."""
        left = max((one for one in numbers if one.last < ordinal.first), key=_START, default=None)
        right = min((one for one in numbers if one.first > ordinal.last), key=_START, default=None)
        if right is not None and self._joined(ordinal, right):
            counted = self._word(right.last + 1) in _DIGIT_NOUNS
            moment = self._is_moment(ordinal) and self._text[ordinal.end : right.start].strip() != ""
            if left is not None and self._joined(left, ordinal):
                return not moment
            return not (counted or self._tells_which(ordinal))
        if left is None or not self._joined(left, ordinal) or self._has_noun(ordinal):
            return False
        return not (self._tells_which(ordinal) or self._is_moment(ordinal))

    def at_place(self, ordinal: Element) -> bool:
        """Whether it stands where the number should: behind "is", or by itself."""
        before, after = self._word(ordinal.first - 1), self._word(ordinal.last + 1)
        starts = before in _BEFORE_NUMBER or _is_ordinal(before)
        starts = starts or all(one.word in JOINERS for one in self._tokens[: ordinal.first][-_MOST_JOINERS:])
        last = not after
        ends = last or self._stops(ordinal.last) or after in ("is", "please") or _is_ordinal(after) or after.isdigit()
        return (starts and ends) or (self._unfinished and last and not self._tells_which(ordinal))

    def _joined(self, left: Element, right: Element) -> bool:
        between = self._tokens[left.last + 1 : right.first]
        if len(between) > _MOST_JOINERS or any(one.word not in JOINERS for one in between):
            return False
        return _STOP.search(self._text, left.end, right.start) is None

    def _has_noun(self, ordinal: Element) -> bool:
        word = self._word(ordinal.last + 1)
        return bool(word) and not self._stops(ordinal.last) and word not in _AFTER_NUMBER and word not in JOINERS

    def _is_moment(self, ordinal: Element) -> bool:
        """ "One second"."""
        return self._tokens[ordinal.first].word == "second" and self._word(ordinal.first - 1) == "one"

    def _tells_which(self, ordinal: Element) -> bool:
        return self._word(ordinal.first - 1) in _TELLS_WHICH

    def _stops(self, index: int) -> bool:
        """Whether a sentence ends behind a token."""
        end = self._tokens[index].end
        after = self._tokens[index + 1].start if index + 1 < len(self._tokens) else len(self._text)
        return _STOP.search(self._text, end, after) is not None

    def _word(self, index: int) -> str:
        return self._tokens[index].word if 0 <= index < len(self._tokens) else ""
