"""Dates of birth: the dates in a text that names or answers a birth date."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.text.digits import dates
from gateway.text.digits.numbers import Element, Token
from gateway.text.digits.runs import find_runs
from gateway.text.entities.context import Context
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["find_births"]

_ORDINAL = (
    r"(?:\d{1,2}(?!\d)(?:st|nd|rd|th)?|(?:twenty|thirty)[\s-](?:first|second|third|\w+th)|first|second|third|\w+th)"
)
_NUMBER = r"(?:\d+|[a-z]+)"
_YEAR = (
    r"(?:(?:19|20)\d\d|'?\d\d|(?:nineteen|twenty|two\s+thousand)(?:[\s-]+(?:and\s+)?[a-z]+){1,2}"
    r"|[a-z]+ty(?:[\s-][a-z]+)?)"
)
_NAMED = re.compile(
    rf"\b(?:(?:the\s+)?{_ORDINAL}\s+(?:of\s+)?)?{dates.MONTHS}\b\.?,?"
    rf"(?:\s+(?:the\s+)?{_ORDINAL}|\s+{_NUMBER}(?=,?\s+{_YEAR}))?"
    rf"(?:,?\s+(?:of\s+|in\s+)?{_YEAR})?",
    re.IGNORECASE,
)
_MOST_ELEMENTS = 6
_CURRENCY = "$£€"


def find_births(text: str, tokens: Sequence[Token], numbers: Sequence[Element], context: Context) -> list[Hidden]:
    """Dates and years of birth, left to right, where the text or a turn before is about one."""
    mentions = [one for one in context.mentions if one.entity is Entity.DOB]
    if not mentions and Entity.DOB not in context.topics:
        return []
    after = 0 if Entity.DOB in context.topics or any(one.backward for one in mentions) else mentions[0].end
    spans = [match.span() for match in _NAMED.finditer(text, after) if _says_day_or_year(match.group())]
    for run in find_runs(text, tokens, numbers, spans, eager=False):
        if run.start < after or len(run.elements) > _MOST_ELEMENTS or text[max(0, run.start - 1)] in _CURRENCY:
            continue
        if dates.may_be_date(run.digits) or dates.is_year(run.elements):
            spans.append((run.start, run.end))
    return [Hidden(start, end, Entity.DOB) for start, end in sorted(spans)]


def _says_day_or_year(found: str) -> bool:
    return len(found.split()) > 1
