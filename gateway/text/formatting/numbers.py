"""Spoken numbers with their values: "twenty two" is 22, "double oh" 00, "one hundred and fifty" 150.

:mod:`gateway.text.digits.numbers` counts digits, which is what hiding needs and no more; writing needs their values.
Words and digit chunks are the same tokens in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from gateway.text.digits.numbers import Token

__all__ = ["LEXICON", "UNIT_ORDINALS", "Kind", "Numeral", "Reader", "suffixed"]

_DIGITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "niner": 9, "fife": 5, "nought": 0, "naught": 0,
}  # fmt: skip
_TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "ninty": 90,
}  # fmt: skip
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_OH = frozenset({"oh", "o"})
_ARTICLES = frozenset({"a", "an"})
UNIT_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
}  # fmt: skip
"""Ordinals below the tenth: words, but in a date."""
_ORDINALS = {
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30, "fortieth": 40,
    "fiftieth": 50, "sixtieth": 60, "seventieth": 70, "eightieth": 80, "ninetieth": 90,
}  # fmt: skip
LEXICON = frozenset({*_DIGITS, *_TEENS, *_TENS, *_REPEATS, *_OH, *UNIT_ORDINALS, *_ORDINALS, "hundred", *_SCALES})
"""A text without any of these holds no spoken number."""

_THOUSAND = 1_000
_HYPHENS = frozenset({"-", "\u2010", "\u2011"})


class Kind(Enum):
    """What a number is made of."""

    DIGIT = auto()  # one digit, "four" or "4"
    OH = auto()  # "oh"
    REPEAT = auto()  # "double seven"
    PAIR = auto()  # 10 to 99
    HUNDREDS = auto()  # "eight hundred", nothing behind it
    CARDINAL = auto()  # anything larger
    ARTICLE = auto()  # "a hundred"
    DECIMAL = auto()  # "three point five"
    ORDINAL = auto()  # "twenty first"


STRING_KINDS = frozenset({Kind.DIGIT, Kind.OH, Kind.REPEAT, Kind.PAIR, Kind.HUNDREDS})


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in the tokens ``first … last``; ``digits`` is how it is written, without marks.

    ``end`` is ``last``, or the scale word behind it that stays a word ("2 million"). ``round``: one number and a
    multiplier, "five thousand".
    """

    first: int
    last: int
    digits: str
    kind: Kind
    end: int
    round: bool = False

    @property
    def single(self) -> bool:
        """True for one digit at a time: "four", "oh", "double seven"."""
        return self.kind in (Kind.DIGIT, Kind.OH, Kind.REPEAT)

    @property
    def stringed(self) -> bool:
        """True for what may be part of a string of digits."""
        return self.kind in STRING_KINDS


def suffixed(digits: str) -> str:
    """An ordinal: "21" is "21st"."""
    if digits[-2:] in ("11", "12", "13"):
        return f"{digits}th"
    return digits + {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")


class Reader:
    """Reads one number at a token."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text = text
        self._tokens = tokens

    def read(self, index: int) -> Numeral | None:
        """The number that begins with the token at ``index``; None where none does."""
        word = self._tokens[index].word
        if word in _OH:
            return Numeral(index, index, "0", Kind.OH, index)
        if word in _REPEATS:
            return self._repeat(index)
        if word in _ARTICLES:
            if self.next(index) in ("hundred", *_SCALES):
                whole = self._cardinal(index, 1, index + 1)
                article = whole.digits.strip("0") == "1" or whole.end > whole.last
                return Numeral(index, whole.last, whole.digits, Kind.ARTICLE, whole.end) if article else whole
            return None
        if word in _ORDINALS:
            return Numeral(index, index, str(_ORDINALS[word]), Kind.ORDINAL, index)
        if word in _TENS and self.next(index) in UNIT_ORDINALS:
            value = _TENS[word] + UNIT_ORDINALS[self.next(index)]
            return Numeral(index, index + 1, str(value), Kind.ORDINAL, index + 1)
        value_after = self._below_hundred(index)
        if value_after is None:
            return None
        return self._decimal(self._cardinal(index, *value_after))

    @property
    def tokens(self) -> Sequence[Token]:
        """The tokens of the text."""
        return self._tokens

    def gap(self, index: int) -> str:
        """What lies between token ``index`` and the next one."""
        end = self._tokens[index + 1].start if index + 1 < len(self._tokens) else len(self._text)
        return self._text[self._tokens[index].end : end]

    def next(self, index: int) -> str:
        """The word after token ``index`` when nothing but a space or a hyphen lies between, else an empty string."""
        return self._tokens[index + 1].word if index + 1 < len(self._tokens) and self.tight(index) else ""

    def tight(self, index: int) -> bool:
        """Whether nothing but a space or a hyphen lies between token ``index`` and the next."""
        between = self._text[self._tokens[index].end : self._tokens[index + 1].start]
        return between == " " or between in _HYPHENS or (between != "" and not between.strip())

    def _repeat(self, index: int) -> Numeral | None:
        following = self.next(index)
        digit = "0" if following in _OH else self._one_digit(index + 1) if following else None
        if digit is None:
            return None
        return Numeral(index, index + 1, digit * _REPEATS[self._tokens[index].word], Kind.REPEAT, index + 1)

    def _one_digit(self, index: int) -> str | None:
        token = self._tokens[index]
        if token.digits:
            return token.word if len(token.word) == 1 and token.word.isascii() else None
        return str(_DIGITS[token.word]) if token.word in _DIGITS else None

    def _below_hundred(self, index: int) -> tuple[int, int] | None:
        """``(value, after)``; None where no number stands, or one in digits that is longer than one."""
        word = self._tokens[index].word
        digit = self._one_digit(index)
        if digit is not None:
            return int(digit), index + 1
        if word in _TENS:
            unit = _DIGITS.get(self.next(index), 0)
            return _TENS[word] + unit, index + (2 if unit else 1)
        return (_TEENS[word], index + 1) if word in _TEENS else None

    def _cardinal(self, first: int, value: int, after: int) -> Numeral:
        """A number that may go on with hundred, thousand and so on."""
        kind = Kind.DIGIT if value < 10 else Kind.PAIR
        total, least, plain, added = 0, 10**15, value, 0
        if self.next(after - 1) == "hundred" and value:
            after, value, kind = after + 1, value * 100, Kind.HUNDREDS
            added, after = self._addend(after, 0)
            if added or value >= _THOUSAND:
                value, kind = value + added, Kind.CARDINAL
            plain = value
        while (scale := _SCALES.get(self.next(after - 1), least)) < least and value:
            after, total, value, least, kind = after + 1, total + value * scale, 0, scale, Kind.CARDINAL
            value, after = self._addend(after, least)
            added += value
        if least >= 10**6 and least < 10**15 and total == plain * least and not value:
            return Numeral(first, after - 2, str(plain), Kind.CARDINAL, after - 1)
        rounded = kind is Kind.CARDINAL and not added
        return Numeral(first, after - 1, str(total + value), kind, after - 1, rounded)

    def _addend(self, index: int, least: int) -> tuple[int, int]:
        """``(value, after)`` of what follows a multiplier: "and five", "one hundred twenty"; value 0: nothing.

        Behind a scale it may hold hundreds, and have a scale of its own that is less than ``least``.
        """
        start, spoken_and = index, self.next(index - 1) == "and"
        index += spoken_and
        if not self.next(index - 1) or self._tokens[index].digits:
            return 0, start
        below = self._below_hundred(index)
        if below is None or not below[0]:
            return 0, start
        value, after = below
        following = self.next(after - 1)
        if following == "hundred":
            if not least or value > 9:
                return 0, start
            more, after = self._addend(after + 1, 0)
            value, following = value * 100 + more, self.next(after - 1)
        if least and _SCALES.get(following, 0) >= least:
            return 0, start
        # "Eight hundred five five five": a string of digits, not 805.
        string = value < 10 and not spoken_and and (following in _DIGITS or following in _OH or following in _REPEATS)
        # "June fifth two thousand first", "one hundred twenty first" are no cardinals.
        return (0, start) if string or following in UNIT_ORDINALS else (value, after)

    def _decimal(self, whole: Numeral) -> Numeral:
        """``whole`` with what is said behind "point"."""
        digits, last = whole.digits, whole.end
        while self.next(last) == "point":
            fraction, at = "", last + 2
            while at < len(self._tokens) and self.tight(at - 1):
                part = self._fraction(at)
                if part is None:
                    break
                fraction, at = fraction + part[0], part[1]
            if not fraction or whole.end > whole.last:
                break
            digits, last = f"{digits}.{fraction}", at - 1
        if last == whole.end:
            return whole
        large = self.next(last) in _SCALES and self.next(last) != "thousand"
        return Numeral(whole.first, last, digits, Kind.DECIMAL, last + 1 if large else last)

    def _fraction(self, index: int) -> tuple[str, int] | None:
        if self._tokens[index].word in _OH:
            return "0", index + 1
        below = self._below_hundred(index)
        return (str(below[0]), below[1]) if below is not None else None
