"""Spoken e-mail addresses and domains as they are written."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.text.digits.numbers import vocabulary
from gateway.text.formatting.numbers import Kind, Numeral, Reader

__all__ = ["domain", "email_address"]

_MARKS = {
    "dot": ".", "point": ".", "period": ".", "underscore": "_", "underline": "_", "dash": "-", "hyphen": "-",
    "minus": "-", "plus": "+",
}  # fmt: skip
_ENDINGS = vocabulary("com net org edu gov io co")
_NO_DOMAINS = frozenset({"the", "a"})


def email_address(spoken: str, reader: Reader, first: int, last: int) -> str | None:
    """The address that the tokens ``first … last`` say: "john dot smith at example dot com" is john.smith@example.com.

    None if it is written already, or if it is not clear which "at" parts it.
    """
    ats = [at for at in range(first, last) if reader.tokens[at].word == "at"]
    if " " not in spoken or len(ats) + spoken.count("@") != 1:
        return None
    parts: list[str] = []
    index = first
    while index <= last:
        after, part = _part(reader, first, index, last, ats)
        parts.append(part)
        index = after
        if index <= last:
            parts.append("".join(reader.gap(index - 1).replace(",", "").split()))
    return "".join(parts)


def _part(reader: Reader, first: int, index: int, last: int, ats: Sequence[int]) -> tuple[int, str]:
    """The index behind what stands at ``index``, and how it is written."""
    word = reader.tokens[index].word
    if index in ats:
        return index + 1, "@"
    numeral = reader.read(index)
    if numeral is not None and numeral.kind is not Kind.ARTICLE and numeral.end <= last and _is_number(reader, numeral):
        return numeral.last + 1, numeral.digits
    return index + 1, _MARKS.get(word, word) if first < index < last else word


def _is_number(reader: Reader, numeral: Numeral) -> bool:
    """False for an "o" that is a letter of a name: only beside a digit is it a zero."""
    if numeral.kind is not Kind.OH:
        return True
    beside = (at for at in (numeral.first - 1, numeral.last + 1) if 0 <= at < len(reader.tokens))
    return any(one is not None and one.kind is not Kind.OH for one in map(reader.read, beside))


def domain(reader: Reader, index: int) -> tuple[int, str] | None:
    """The last token of a domain that begins at ``index`` ("example dot com"), and its written form; None: none."""
    last = index
    while reader.next(last) == "dot" and reader.next(last + 1):
        last += 2
    labels = [token.word for token in reader.tokens[index : last + 1 : 2]]
    if labels[0] in _NO_DOMAINS or _ENDINGS.isdisjoint(labels[1:]):
        return None
    return last, ".".join(labels)
