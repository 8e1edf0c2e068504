"""Numbers that are no secret by the words around them: times, prices, quantities, "one" as a pronoun."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.text.numbers import Element, Form, Token, vocabulary
from gateway.text.runs import Run

__all__ = ["is_count_of_digits", "is_pronoun", "stays"]

_AFTER_PRONOUN = vocabulary(
    "moment moments second sec minute minutes of more thing another time day way at by last other question hundredth "
    "who that which where for to percent side person place"
)
_BEFORE_PRONOUN = vocabulary(
    "the this that which another other no any every each new old last next first right wrong same good better best "
    "only big little loved some"
)
_BEFORE_TIME = vocabulary("at by until till before after around from")
_AFTER_TIME = vocabulary(
    "am pm a p o'clock sharp today tomorrow tonight yesterday on in this next please works is or but if when for "
    "monday tuesday wednesday thursday friday saturday sunday"
)
_HOUR_WORDS = vocabulary("one two three four five six seven eight nine ten eleven twelve")
_HALF_DAY = frozenset({"am", "pm", "o'clock"})
_CURRENCY = "$£€¥₹"
_DIGIT_NOUNS = vocabulary("digit digits number numbers numeral numerals")
_COUNTED = frozenset({"of", "on"})
_SAYINGS = frozenset({"24/7", "24 7", "twenty four seven", "50/50", "50 50", "fifty fifty"})
_CLOSES = re.compile(r"\s*(?:[.,;:?!)]|$)")
_PRICE_DIGITS = 4
_HOURS, _MINUTES = 24, 60


def is_pronoun(tokens: Sequence[Token], run: Run) -> bool:
    """True for the "one" of "one moment", "the other one", "one of them"."""
    if len(run.elements) > 1 or tokens[run.elements[0].first].word != "one":
        return False
    after, before = _word_after(tokens, run), _word_before(tokens, run)
    return after in _AFTER_PRONOUN or before in _BEFORE_PRONOUN


def is_count_of_digits(tokens: Sequence[Token], run: Run) -> bool:
    """True for the number of "four digits", "the last four of": it counts digits and is none of them."""
    after, before = _word_after(tokens, run), _word_before(tokens, run)
    return after in _DIGIT_NOUNS or (before in ("first", "last") and after in _COUNTED)


def stays(text: str, tokens: Sequence[Token], run: Run) -> bool:
    """True for a run of three digits or more that is a round quantity, a time of day, a price or a saying."""
    if _is_quantity(text, tokens, run) or _is_price(text, run):
        return True
    said = text[run.elements[0].start : run.elements[-1].end].lower().replace("-", " ")
    return said in _SAYINGS or _is_time(text, tokens, run) or _are_clock_times(text, tokens, run)


def _is_quantity(text: str, tokens: Sequence[Token], run: Run) -> bool:
    """A manner of speech, one digit of knowledge: "two hundred", "five thousand", "100%"."""
    if len(run.elements) > 1:
        return False
    only = run.elements[0]
    if only.form is Form.ROUND:
        return True
    percent = text[only.end : only.end + 1] == "%" or _word_after(tokens, run) == "percent"
    return percent and text[only.start : only.end] == "100"


def _is_time(text: str, tokens: Sequence[Token], run: Run) -> bool:
    """A time in words: "at three thirty", "seven oh five p.m."; a run that holds more is none."""
    if not 2 <= len(run.elements) <= 3:
        return False
    hour, *minutes = run.elements
    if not _spoken_minutes(minutes) or hour.form not in (Form.DIGIT, Form.SPOKEN):
        return False
    if tokens[hour.first].word not in _HOUR_WORDS or hour.first != hour.last:
        return False
    after = _word_after(tokens, run)
    if after in _HALF_DAY or (after in ("a", "p") and _word_after(tokens, run, 2) == "m"):
        return True
    closed = after in _AFTER_TIME or _CLOSES.match(text, run.elements[-1].end) is not None
    return closed and _word_before(tokens, run) in _BEFORE_TIME


def _are_clock_times(text: str, tokens: Sequence[Token], run: Run) -> bool:
    """Times in digits: "3:30", "between 10:30 and 11:00"; one or two and nothing else."""
    if len(run.elements) not in (2, 4):
        return False
    pairs = zip(run.elements[::2], run.elements[1::2], strict=True)
    return all(
        text[hour.end : minute.start] == ":"
        and _clock(tokens[hour.first].word, _HOURS)
        and _clock(tokens[minute.first].word, _MINUTES, exact=True)
        for hour, minute in pairs
    )


def _spoken_minutes(minutes: Sequence[Element]) -> bool:
    if len(minutes) == 1:
        return minutes[0].form is Form.SPOKEN and minutes[0].count == 2
    return minutes[0].form is Form.OH and minutes[1].form is Form.DIGIT


def _clock(digits: str, limit: int, *, exact: bool = False) -> bool:
    width = len(digits) == 2 if exact else len(digits) <= 2
    return width and digits.isdecimal() and int(digits) < limit


def _is_price(text: str, run: Run) -> bool:
    """A currency sign, two digits at most, a dot, two digits: "$25.99"."""
    if len(run.elements) != 2 or run.count > _PRICE_DIGITS:
        return False
    whole, fraction = run.elements
    written = whole.form is Form.WRITTEN and fraction.form is Form.WRITTEN and fraction.count == 2
    sign = text[max(0, whole.start - 1) : whole.start]
    return written and text[whole.end : fraction.start] == "." and sign != "" and sign in _CURRENCY


def _word_before(tokens: Sequence[Token], run: Run) -> str:
    index = run.elements[0].first
    return tokens[index - 1].word if index else ""


def _word_after(tokens: Sequence[Token], run: Run, steps: int = 1) -> str:
    index = run.elements[-1].last + steps
    return tokens[index].word if index < len(tokens) else ""
