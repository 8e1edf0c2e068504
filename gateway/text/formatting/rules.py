"""How spoken numbers and addresses are written: the edits that turn a recognised text into a written one.

An edit never writes a space, so that each of its words has the times of the words that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gateway.text.digits.numbers import Element, Form, Token, elements, vocabulary
from gateway.text.digits.runs import find_runs, only_joiners
from gateway.text.entities.email import find_addresses
from gateway.text.formatting import words
from gateway.text.formatting.addresses import domain, email_address
from gateway.text.formatting.numbers import UNIT_ORDINALS, Kind, Numeral, Reader, suffixed
from gateway.text.mask import Edit

__all__ = ["find_edits"]

_MONEY = {"dollars": "$", "dollar": "$", "euros": "€", "euro": "€"}
_CENTS = frozenset({"cents", "cent"})
_HALF_DAY_LETTERS = frozenset({"a", "p"})
_SAYINGS = frozenset({"fifty fifty", "twenty four seven"})
# What a digit string that is parted by commas must have, to be none of "one, two, three".
_STRING_DIGITS = 4
_RUN_DIGITS = 3
_NATIONAL, _INTERNATIONAL, _LOCAL = 10, 11, 7
_CONTEXT_WORDS = 6
_DOUBTFUL = frozenset({Form.HOMOPHONE, Form.MISHEARD})
# "The last four are eight nine two zero": no digits, whatever redaction takes them for when it expects numbers.
_PLAIN = vocabulary("am are is was were it's that's my your our the has have had and i you we in on with")


def find_edits(text: str, tokens: Sequence[Token]) -> list[Edit]:
    """The edits that write out ``text``, left to right, without overlap."""
    numbers = elements(text, tokens)
    spans = find_addresses(text, tokens, numbers)
    return _Writer(text, tokens, spans, _doubtful(text, tokens, numbers, spans)).write()


def _doubtful(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], spans: Sequence[tuple[int, int]]
) -> frozenset[int]:
    """Tokens of digit strings with words inside: misheard digits ("seven four for nine"), "four one, I mean four two".

    Redaction joins such strings by the single digits around those words, so they stay as they were heard.
    """
    if not numbers:
        return frozenset()
    runs = [run.elements for run in find_runs(text, tokens, numbers, spans, eager=True)]
    return frozenset(
        index
        for run in runs
        if any(one.form in _DOUBTFUL and tokens[one.first].word not in _PLAIN for one in run)
        or any(not only_joiners(tokens[left.last + 1 : right.first]) for left, right in pairwise(run))
        for index in range(run[0].first, run[-1].last + 1)
    )


class _Writer:
    """Goes through a text once and notes the edits."""

    def __init__(
        self, text: str, tokens: Sequence[Token], spans: Sequence[tuple[int, int]], doubtful: frozenset[int]
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._spans = spans
        self._doubtful = doubtful
        self._reader = Reader(text, tokens)
        self._edits: list[Edit] = []
        # The last token that was written as a number, for "five to ten".
        self._written = -2

    def write(self) -> list[Edit]:
        index, spans = 0, list(self._spans)
        while index < len(self._tokens):
            if spans and self._tokens[index].end > spans[0][0]:
                index = self._address(index, *spans.pop(0))
            elif (after := self._domain(index)) > index:
                index = after
            elif index in self._doubtful:
                index += 1
            elif (after := self._left_out(index)) > index:
                index = after
            elif (numeral := self._reader.read(index)) is not None:
                groups = self._chain(numeral)
                self._groups(groups)
                index = max(groups[-1][-1].end, self._written) + 1
            else:
                self._date_ordinal(index)
                index += 1
        return self._edits

    # Words and what lies between them

    def _word(self, index: int) -> str:
        return self._tokens[index].word if 0 <= index < len(self._tokens) else ""

    def _before(self, index: int) -> str:
        """The word before token ``index`` if only a space parts them."""
        return self._word(index - 1) if index > 0 and self._reader.tight(index - 1) else ""

    def _replace(self, first: int, last: int, replacement: str) -> None:
        start, end = self._tokens[first].start, self._tokens[last].end
        self._written = last
        if self._text[start:end] != replacement:
            self._edits.append(Edit(start, end, replacement))

    def _address(self, index: int, start: int, end: int) -> int:
        """Write the e-mail address in ``text[start:end]``; the index of the token behind it."""
        last = index
        while last + 1 < len(self._tokens) and self._tokens[last + 1].end <= end:
            last += 1
        replacement = email_address(self._text[start:end], self._reader, index, last)
        if replacement is not None:
            self._replace(index, last, replacement)
        return last + 1

    def _domain(self, index: int) -> int:
        """Write a domain that begins at ``index``; the index behind it, or ``index``."""
        found = domain(self._reader, index)
        if found is None:
            return index
        last, replacement = found
        self._replace(index, last, replacement)
        return last + 1

    # What is no number by itself

    def _left_out(self, index: int) -> int:
        """The index behind what is passed over or written at once, or ``index``.

        Passed over: "one hundred and first", "the nineteen nineties". Written: "point five percent".
        """
        if self._word(index) == "point":
            numeral = self._reader.read(index + 1) if self._reader.next(index) else None
            if numeral is not None and numeral.stringed and self._reader.next(numeral.last) == "percent":
                self._replace(index, numeral.last + 1, f"0.{numeral.digits}%")
                return numeral.last + 2
            return index
        numeral = self._reader.read(index)
        if numeral is None:
            return index
        after = numeral.end + 1
        if self._reader.next(numeral.end) in words.DECADES:
            return after + 1
        if numeral.kind in (Kind.HUNDREDS, Kind.CARDINAL, Kind.ARTICLE):
            after += self._reader.next(numeral.end) == "and"
            tail = self._reader.read(after) if self._reader.next(after - 1) else None
            if self._reader.next(after - 1) in UNIT_ORDINALS:
                return after + 1
            if tail is not None and tail.kind is Kind.ORDINAL:
                return tail.last + 1
        return index

    # Numbers in a row

    def _chain(self, first: Numeral) -> list[list[Numeral]]:
        """The numbers that follow each other, in groups that commas part."""
        groups = [[first]]
        while (index := groups[-1][-1].end + 1) < len(self._tokens) and index not in self._doubtful:
            tight = self._reader.tight(index - 1)
            if not tight and self._reader.gap(index - 1).strip() != ",":
                break
            numeral = self._reader.read(index)
            if numeral is None or not (numeral.stringed and groups[-1][-1].stringed):
                break
            if tight:
                groups[-1].append(numeral)
            else:
                groups.append([numeral])
        return groups

    def _groups(self, groups: list[list[Numeral]]) -> None:
        if self._saying(groups[0]) or self._phone(groups):
            return
        if len(groups) > 1 and self._exclaims(groups[0], groups[1]):
            groups = groups[1:]
        everything = [numeral for group in groups for numeral in group]
        count = sum(len(numeral.digits) for numeral in everything)
        commas, longest = len(groups) - 1, max(map(len, groups))
        singles = all(numeral.single for numeral in everything)
        if singles and commas and count >= _STRING_DIGITS and longest <= 2 and 2 * commas >= len(everything) - 1:
            if not _counting(everything):
                self._replace(everything[0].first, everything[-1].last, "".join(one.digits for one in everything))
            return
        long = any(_length(group) >= _RUN_DIGITS and group[0].stringed and len(group) > 1 for group in groups)
        for group in groups:
            self._group(group, forced=long and len(groups) > 1)

    def _saying(self, group: list[Numeral]) -> bool:
        start, end = self._tokens[group[0].first].start, self._tokens[group[-1].last].end
        return self._text[start:end].lower().replace("-", " ") in _SAYINGS

    @staticmethod
    def _exclaims(first: list[Numeral], second: list[Numeral]) -> bool:
        """The "Oh" of "Oh, twenty two"; but "oh, four, one, one" has a zero."""
        return len(first) == 1 and first[0].kind is Kind.OH and not (len(second) == 1 and second[0].single)

    def _phone(self, groups: list[list[Numeral]]) -> bool:
        """Write a telephone number of the North American plan."""
        everything = [numeral for group in groups for numeral in group]
        digits = "".join(numeral.digits for numeral in everything)
        if len(digits) < _LOCAL or len(everything) == 1 or not all(numeral.stringed for numeral in everything):
            return False
        first = everything[0].first
        if any(self._word(at) in words.NO_PHONES for at in range(max(0, first - _CONTEXT_WORDS), first)):
            return False
        country = digits[0] if len(digits) == _INTERNATIONAL and digits[0] == "1" else ""
        rest = digits[len(country) :]
        if len(rest) == _NATIONAL and rest[0] >= "2" and rest[3] >= "2":
            parts = [country, rest[:3], rest[3:6], rest[6:]]
        elif len(digits) == _LOCAL and [_length(group) for group in groups][:1] == [3] and len(groups) > 1:
            parts = [digits[:3], digits[3:]]
        else:
            return False
        self._replace(first, everything[-1].last, "-".join(filter(None, parts)))
        return True

    def _group(self, group: list[Numeral], *, forced: bool) -> None:
        """Numbers in a row without a comma; ``forced``: they belong to a string of digits."""
        if len(group) == 1:
            self._single(group[0], forced=forced)
        elif not self._time(group):
            if self._is_string(group, forced=forced):
                last = group[-1].last
                self._quantity(group[0].first, last, last, "".join(one.digits for one in group), plain=True)
            elif not all(one.single for one in group):
                for one in group:
                    self._single(one, forced=False)

    def _is_string(self, group: list[Numeral], *, forced: bool) -> bool:
        if not all(one.stringed for one in group):
            return False
        if any(one.kind is Kind.HUNDREDS for one in group[1:]) or (group[0].kind is Kind.HUNDREDS and len(group) < 3):
            return False
        # "Thirty forty people", "two twenty-dollar bills"
        first, last = group[0], group[-1]
        tens = len(group) == 2 and first.kind is last.kind is Kind.PAIR and first.digits[-1] == last.digits[-1] == "0"
        next_tens = tens and int(last.digits) - int(first.digits) == 10
        if next_tens and self._before(first.first) not in words.BEFORE_YEAR:
            return False
        if self._reader.gap(last.last) == "-" and self._word(last.last + 1) and last.kind is Kind.PAIR:
            return False
        if self._word(last.last + 1) == "dollar" and last.kind is Kind.PAIR:
            return False
        few = all(one.single for one in group) and _length(group) < _RUN_DIGITS
        return forced or not few or self._before(first.first) in words.LABELS

    def _time(self, group: list[Numeral]) -> bool:
        """Write "three thirty" as a time where the words around it say that it is one."""
        hour, *rest = group
        if hour.first != hour.last or hour.kind not in (Kind.DIGIT, Kind.PAIR) or not 1 <= int(hour.digits) <= 12:
            return False
        kinds = [one.kind for one in rest]
        minutes = "".join(one.digits for one in rest)
        if not (kinds == [Kind.OH, Kind.DIGIT] or (kinds == [Kind.PAIR] and int(minutes) < 60)):
            return False
        last = group[-1].last
        if not self._half_day(last):
            closed = words.is_time_closed(self._word(last + 1), self._reader.gap(last))
            if self._before(hour.first) not in words.BEFORE_TIME or not closed:
                return False
        self._replace(hour.first, last, f"{int(hour.digits)}:{minutes}")
        return True

    def _half_day(self, last: int) -> bool:
        """Whether "a.m.", "pm" or "o'clock" follows."""
        after = self._reader.next(last)
        return after in words.HALF_DAYS or (after in _HALF_DAY_LETTERS and self._word(last + 2) == "m")

    # One number

    def _single(self, numeral: Numeral, *, forced: bool) -> None:
        if numeral.kind is Kind.ORDINAL:
            self._replace(numeral.first, numeral.last, suffixed(numeral.digits))
            return
        after = self._reader.next(numeral.end)
        if after in _MONEY or after == "percent":
            self._quantity(numeral.first, numeral.last, numeral.end, numeral.digits, plain=False)
        elif numeral.kind in (Kind.ARTICLE, Kind.OH) or after in words.VAGUE:
            if forced:
                self._replace(numeral.first, numeral.last, numeral.digits)
        elif numeral.kind is not Kind.DIGIT or forced or self._digit_is_written(numeral):
            plain = self._is_year(numeral) or not (numeral.round or words.counts(after))
            self._quantity(numeral.first, numeral.last, numeral.end, numeral.digits, plain=plain)

    def _digit_is_written(self, numeral: Numeral) -> bool:
        after, before = self._reader.next(numeral.last), self._before(numeral.first)
        if (
            after in words.UNITS
            or self._half_day(numeral.last)
            or before in words.LABELS
            or self._is_month(numeral.first)
        ):
            return True
        return self._ranges(numeral, before, after)

    def _ranges(self, numeral: Numeral, before: str, after: str) -> bool:
        """Whether the other end of "five to ten" is written in digits."""
        between = self._before(numeral.first) == "between" and after == "and"
        if after in words.RANGES or between:
            other = self._reader.read(numeral.last + 2) if self._reader.next(numeral.last + 1) else None
            if other is None or other.kind is not Kind.DIGIT:
                return other is not None and other.kind in (Kind.PAIR, Kind.HUNDREDS, Kind.CARDINAL, Kind.DECIMAL)
            return self._reader.next(other.last) in words.UNITS | _MONEY.keys() or self._half_day(other.last)
        return before in words.RANGES and self._written == numeral.first - 2

    def _quantity(self, first: int, last: int, end: int, digits: str, *, plain: bool) -> None:
        """Write a number with what it counts: dollars, percent, or nothing.

        ``end`` is the scale word behind it, or ``last``; ``plain``: by itself it takes no commas.
        """
        after = self._reader.next(end)
        if after == "percent":
            self._scaled(first, last, end, _grouped(digits), "%", end + 1)
        elif after in _MONEY and self._text[max(0, self._tokens[first].start - 1)] not in ".,":
            # Behind a point stands the fraction of a number that began before: "3.5 million dollars".
            sign, unit = _MONEY[after], end + 1
            cents = self._cents(unit) if end == last and "." not in digits else None
            if cents is not None:
                self._replace(first, cents[1], f"{sign}{_grouped(digits)}.{cents[0]:02d}")
            else:
                self._scaled(first, last, end, sign + _grouped(digits), "", unit)
        else:
            self._replace(first, last, digits if plain else _grouped(digits))

    def _scaled(self, first: int, last: int, end: int, digits: str, mark: str, unit: int) -> None:
        """The number, the scale word that stays ("million"), and the unit, which becomes a mark."""
        if end == last:
            self._replace(first, unit, digits + mark)
        else:
            self._replace(first, last, digits)
            self._replace(end, unit, self._text[self._tokens[end].start : self._tokens[end].end] + mark)

    def _cents(self, unit: int) -> tuple[int, int] | None:
        """``(cents, last token)`` of "and ninety nine cents" behind the word for dollars at ``unit``."""
        at = unit + (2 if self._reader.next(unit) == "and" else 1)
        if at >= len(self._tokens) or not self._reader.tight(at - 1):
            return None
        numeral = self._reader.read(at)
        if numeral is None or numeral.kind not in (Kind.DIGIT, Kind.PAIR):
            return None
        if self._reader.next(numeral.last) in _CENTS:
            return int(numeral.digits), numeral.last + 1
        # "Five dollars fifty."
        closed = not self._reader.next(numeral.last) and at == unit + 1 and numeral.kind is Kind.PAIR
        return (int(numeral.digits), numeral.last) if closed else None

    # Dates

    def _is_year(self, numeral: Numeral) -> bool:
        """Whether "two thousand eight" is a year, which takes no comma."""
        if numeral.kind is not Kind.CARDINAL or numeral.end > numeral.last or not 2000 <= int(numeral.digits) < 2100:
            return False
        if numeral.digits == "2000" and self._reader.next(numeral.last):
            return False
        before = self._word(numeral.first - 1)
        return before in words.BEFORE_YEAR or before in words.MONTHS or self._written == numeral.first - 1

    def _is_month(self, index: int) -> bool:
        """Whether the word before token ``index`` is a month."""
        before = self._before(index)
        return before in words.MONTHS and (
            before not in words.CAPITAL_MONTHS or self._text[self._tokens[index - 1].start].isupper()
        )

    def _date_ordinal(self, index: int) -> None:
        """Write "May first", "the fourth of July"; elsewhere the ordinals below the tenth are words."""
        value = UNIT_ORDINALS.get(self._tokens[index].word)
        if value is None:
            return
        of_month = self._reader.next(index) == "of" and self._reader.next(index + 1) in words.MONTHS
        if self._is_month(index) or (of_month and self._before(index) == "the"):
            self._replace(index, index, suffixed(str(value)))


def _length(group: Sequence[Numeral]) -> int:
    return sum(len(one.digits) for one in group)


def _counting(numerals: Sequence[Numeral]) -> bool:
    """True for "one, two, three, four"."""
    return all(int(right.digits) - int(left.digits) == 1 for left, right in pairwise(numerals))


def _grouped(digits: str) -> str:
    """Thousands parted by commas."""
    whole, dot, fraction = digits.partition(".")
    return f"{int(whole):,}{dot}{fraction}" if len(whole) > 3 and not whole.startswith("0") else digits
