"""How hidden text looks: one ``#`` for each digit of a number, one ``#`` for each character of other text.

A mask by word or by character would give a spoken number away by its length ("one two" against "seven seven"), so a
number shows its digits only by their count. Groups stay visible: spaces, hyphens and punctuation between groups are
kept as they were; the separators *inside* a group of single digits ("four one one one", "4-1-1-1") go.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import attrgetter
from typing import Protocol

from gateway.text.digits.numbers import Element, Form
from gateway.text.redacted import Hidden

__all__ = ["MASK", "Edit", "Numeric", "apply", "edits", "mask_characters", "mask_run"]

MASK = "#"

_HESITATION = re.compile(r"\b(?:u+h*m+|u+h+|e+r+m*|e+h+|a+h+|h*m+)\b", re.IGNORECASE)
_START = attrgetter("start")
_NOT_SPACE = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``text[start:end]`` by ``replacement``."""

    start: int
    end: int
    replacement: str


class Numeric(Protocol):
    """Numbers in a row that are hidden, the words between them shown."""

    @property
    def elements(self) -> tuple[Element, ...]:
        """The numbers."""


def edits(text: str, numbers: Sequence[Element], spans: Iterable[Hidden], runs: Iterable[Numeric]) -> list[Edit]:
    """What hides ``spans`` character by character, and ``runs`` digit by digit.

    Numbers in a span show one ``#`` a digit as well, so that the lengths of their words stay unknown.
    """
    made = [mask_run(text, run.elements) for run in runs]
    for span in spans:
        at = span.start
        for number in islice(numbers, bisect_left(numbers, span.start, key=_START), None):
            if number.start >= span.end:
                break
            if number.end <= span.end:
                made += (Edit(at, number.start, mask_characters(text[at : number.start])), mask_run(text, [number]))
                at = number.end
        made.append(Edit(at, span.end, mask_characters(text[at : span.end])))
    return made


def apply(text: str, changes: Iterable[Edit]) -> str:
    """``text`` with all ``changes`` made; they must not overlap."""
    parts: list[str] = []
    at = 0
    for edit in sorted(changes, key=lambda edit: edit.start):
        parts += (text[at : edit.start], edit.replacement)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts)


def mask_characters(text: str) -> str:
    """One ``#`` a character, spaces kept."""
    return _NOT_SPACE.sub(MASK, text)


def mask_run(text: str, run: Sequence[Element]) -> Edit:
    """The edit that hides a run of numbers, whole."""
    separators = [_tidy(text[left.end : right.start]) for left, right in pairwise(run)]
    inner = [_in_group(left) and _in_group(right) for left, right in pairwise(run)]
    # "four one one one, two two two two": the separator met most often joins a group, any stronger one parts groups.
    strengths = Counter(_strength(sep) for sep, droppable in zip(separators, inner, strict=True) if droppable)
    joining = max(strengths, key=lambda strength: (strengths[strength], -strength), default=0)
    parts = [MASK * run[0].count]
    for separator, droppable, element in zip(separators, inner, run[1:], strict=True):
        parts.append("" if droppable and _strength(separator) <= joining else separator)
        parts.append(MASK * element.count)
    return Edit(run[0].start, run[-1].end, "".join(parts))


def _in_group(element: Element) -> bool:
    """False for a written chunk of several digits: it is a group by itself."""
    return element.form is not Form.WRITTEN or element.single


def _tidy(separator: str) -> str:
    """A separator without hesitations: ", um, " becomes ", "."""
    tidied, hesitations = _HESITATION.subn("", separator)
    if not hesitations:
        return separator
    if any(character.isalpha() for character in tidied):
        return re.sub(r"\s+", " ", tidied)
    mark = next((character for character in tidied if not character.isspace()), "")
    return f"{mark} "


def _strength(separator: str) -> int:
    """How much a separator parts: nothing, a hyphen, a space, punctuation, a word."""
    stripped = separator.strip()
    if any(character.isalnum() for character in stripped):
        return 4
    if stripped in ("-", "\u2010", "\u2011"):
        return 1 if stripped == separator else 3
    if stripped:
        return 3
    return 2 if separator else 0
