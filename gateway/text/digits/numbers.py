"""Numbers in recognised English text: spoken or written, folded to digits with a place in the text.

:func:`tokenize` cuts text into words and digit chunks; :func:`elements` reads those as numbers, each the smallest
thing that is one number to the ear ("twenty two", "double seven", "four thousand one hundred", "1234"). What belongs
together into one run, and what is hidden, is :mod:`gateway.text.redaction`'s business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

__all__ = [
    "NUMBER_WORDS",
    "OH_WORDS",
    "REPEAT_WORDS",
    "Element",
    "Form",
    "Token",
    "elements",
    "tokenize",
    "vocabulary",
]


def vocabulary(words: str) -> frozenset[str]:
    """The set of the words in a blank-separated list."""
    return frozenset(words.split())


# Characters for which str.isdigit() holds but \d does not match (superscripts, circled digits, …).
_ODD_DIGITS = (
    "\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490"
    "\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\U00010a40-\U00010a43\U00010e60-\U00010e68"
    "\U00011052-\U0001105a\U0001f100-\U0001f10a"
)
_TOKEN = re.compile(rf"(?P<digits>[\d{_ODD_DIGITS}]+)|[^\W\d_{_ODD_DIGITS}]+(?:['’][^\W\d_{_ODD_DIGITS}]+)*")

_UNITS = {
    word: value
    for value, words in enumerate(
        ("zero nought naught", "one", "two", "three", "four", "five fife", "six", "seven", "eight", "nine niner")
    )
    for word in words.split()
}
_TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    word: value * 10
    for value, words in enumerate(
        ("twenty", "thirty", "forty fourty", "fifty", "sixty", "seventy", "eighty", "ninety ninty"), start=2
    )
    for word in words.split()
}
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
# Said for zero, but words of their own as well: only a number beside them makes them a digit.
_OH = frozenset({"oh", "o", "nil"})
NUMBER_WORDS = frozenset({*_UNITS, *_TEENS, *_TENS, *_SCALES, "hundred"})
"""Every word that is a number, or part of one, wherever it stands."""
OH_WORDS = _OH
"""Words for zero that are mostly something else."""
REPEAT_WORDS = frozenset(_REPEATS)
"""Words that announce a digit said once for several."""
_BEGINNINGS = frozenset({*_UNITS, *_TEENS, *_TENS, *_REPEATS, *_OH, "a", "an"})
_ORDINALS = vocabulary("first second third fourth fifth sixth seventh eighth ninth hundredth thousandth")
_ORDINAL_SUFFIXES = frozenset({"st", "nd", "rd", "th"})
# What may stand between the words of one number: "twenty-two", "one hundred and five".
_TIGHT = re.compile(r"[ \t\u00a0]*[-\u2010\u2011]?[ \t\u00a0]*")
_LONGEST_MULTIPLICAND = 3


class Form(Enum):
    """How a number was given."""

    DIGIT = auto()  # one spoken digit
    SPOKEN = auto()  # several digits in words: "twenty two", "double seven"
    ROUND = auto()  # a round quantity: "two hundred", "five thousand"
    WRITTEN = auto()  # in digits
    OH = auto()  # "oh": a digit only beside another number
    HOMOPHONE = auto()  # "for" between digits; made by gateway.text.digits.runs
    MISHEARD = auto()  # "ball" between digits; made by gateway.text.digits.misheard
    ORDINAL = auto()  # "seventh" beside digits; made by gateway.text.digits.ordinals


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a digit chunk: ``text[start:end]``, folded to lower case in ``word``."""

    word: str
    start: int
    end: int
    digits: bool


@dataclass(frozen=True, slots=True)
class Element:
    """One number: the tokens ``first … last`` (both included), and its ``digits`` when folded.

    A digit that nobody knows (a word that was misheard) stands as ``?``.
    """

    first: int
    last: int
    start: int
    end: int
    digits: str
    form: Form

    @property
    def count(self) -> int:
        """How many digits it has."""
        return len(self.digits)

    @property
    def single(self) -> bool:
        """True for one digit, spoken or written."""
        return len(self.digits) == 1


def tokenize(text: str) -> list[Token]:
    """Words and digit chunks of ``text`` in order; everything else lies between them."""
    return [
        Token(match.group().lower().replace("’", "'"), match.start(), match.end(), match.group("digits") is not None)
        for match in _TOKEN.finditer(text)
    ]


def elements(text: str, tokens: Sequence[Token]) -> list[Element]:
    """The numbers among ``tokens``, left to right, without overlap. Ordinals are not numbers."""
    reader = _Reader(text, tokens)
    found: list[Element] = []
    index = 0
    while index < len(tokens):
        after, digits, form = reader.number(index)
        if digits:
            found.append(Element(index, after - 1, tokens[index].start, tokens[after - 1].end, digits, form))
        index = after
    return found


def _fold(chunk: str) -> str:
    """A digit chunk in ASCII digits."""
    if chunk.isascii():
        return chunk
    return "".join(str(unicodedata.digit(character)) for character in chunk)


class _Reader:
    """Reads one number at a token; every method answers with the index after what it took."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text = text
        self._tokens = tokens

    def number(self, index: int) -> tuple[int, str, Form]:
        """``(after, digits, form)``; ``digits`` is empty where no number stands."""
        token = self._tokens[index]
        word = token.word
        if not token.digits and word not in _BEGINNINGS:
            return index + 1, "", Form.SPOKEN
        if word in _OH:
            return index + 1, "0", Form.OH
        if word in _REPEATS:
            return self._repeated(index)
        if word in ("a", "an"):
            return self._article(index)
        value, after = self._below_hundred(index)
        if value is None:
            return after, "", Form.SPOKEN
        return self._cardinal(index, value, after)

    def _repeated(self, index: int) -> tuple[int, str, Form]:
        digit = self._single_digit(index + 1) if self._next(index) else ""
        if digit:
            return index + 2, digit * _REPEATS[self._tokens[index].word], Form.SPOKEN
        return index + 1, "", Form.SPOKEN

    def _article(self, index: int) -> tuple[int, str, Form]:
        """A number or a manner of speech: "a hundred and five", "a hundred percent"."""
        if self._next(index) in ("hundred", *_SCALES):
            after, digits, form = self._cardinal(index, 1, index + 1)
            if form is Form.SPOKEN:
                return after, digits, form
        return index + 1, "", Form.SPOKEN

    def _cardinal(self, index: int, value: int, after: int) -> tuple[int, str, Form]:
        """A number that may go on with hundred, thousand and so on."""
        token = self._tokens[index]
        if token.digits and not self._multiplicand(token):
            return after, _fold(token.word), Form.WRITTEN
        total, multiplied, added = 0, False, False
        if self._next(after - 1) == "hundred":
            after, value, multiplied = after + 1, value * 100, True
            more, end = self._addend(after)
            if more:
                after, value, added = end, value + more, True
        while (scale := _SCALES.get(self._next(after - 1))) is not None:
            after, total, value, multiplied = after + 1, total + value * scale, 0, True
            more, end = self._addend(after, hundreds=True)
            if more:
                after, value, added = end, more, True
        if multiplied:
            digits = str(total + value).rjust(len(token.word) if token.digits else 0, "0")
            return after, digits, Form.SPOKEN if added else Form.ROUND
        if token.digits:
            return after, _fold(token.word), Form.WRITTEN
        return after, str(value), Form.DIGIT if value < 10 else Form.SPOKEN

    def _addend(self, index: int, *, hundreds: bool = False) -> tuple[int, int]:
        """``(value, after)`` of what follows a multiplier: "and five", "one hundred twenty"; value 0: nothing."""
        if self._next(index - 1) == "and":
            index += 1
        if not self._next(index - 1) or self._tokens[index].digits:
            return 0, index
        value, after = self._below_hundred(index)
        if not value:
            return 0, index
        if hundreds and self._next(after - 1) == "hundred":
            more, end = self._addend(after + 1)
            return value * 100 + more, end if more else after + 1
        return value, after

    def _below_hundred(self, index: int) -> tuple[int | None, int]:
        """``(value, after)`` of a number under a hundred, or of a digit chunk; value None: none, or an ordinal."""
        token = self._tokens[index]
        following = self._next(index)
        if token.digits:
            glued = index + 1 < len(self._tokens) and self._tokens[index + 1].start == token.end
            if glued and following in _ORDINAL_SUFFIXES and len(token.word) < 3:
                return None, index + 2
            return int(token.word) if self._multiplicand(token) else 0, index + 1
        if token.word in _TENS:
            if following in _ORDINALS:
                return None, index + 2
            unit = _UNITS.get(following, 0)
            return _TENS[token.word] + unit, index + (2 if unit else 1)
        value = _UNITS.get(token.word, _TEENS.get(token.word))
        return value, index + 1

    @staticmethod
    def _multiplicand(token: Token) -> bool:
        return len(token.word) <= _LONGEST_MULTIPLICAND and token.word.isdecimal()

    def _single_digit(self, index: int) -> str:
        token = self._tokens[index]
        if token.digits:
            return _fold(token.word) if len(token.word) == 1 else ""
        return "0" if token.word in _OH else str(_UNITS.get(token.word, ""))

    def _next(self, index: int) -> str:
        """The word after token ``index`` when nothing but a space or a hyphen lies between, else an empty string."""
        if index + 1 >= len(self._tokens):
            return ""
        between = self._text[self._tokens[index].end : self._tokens[index + 1].start]
        return self._tokens[index + 1].word if _TIGHT.fullmatch(between) else ""
