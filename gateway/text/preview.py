"""What an unfinished text must not show yet. When in doubt, hide: what was shown can't be taken back.

A partial text stops anywhere: in the middle of a number, before the word that makes it a secret ("4 1 … is my PIN"),
before the "at" that makes a name an address. So no number of it is shown, whatever it may turn out to be: numbers wait
for the final text. What is hidden beyond the numbers that a final text would show:

- number words that are none by themselves yet ("a hundred …", "double …", a last "oh");
- words between or behind digits that may be misheard digits ("seven four for …", "one six eight by …");
- the beginning of an address, where "e-mail" or a spoken dot tells that one is being said. Without such a cue the word
  before a spoken "at" is shown until the domain comes.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.text.digits.explained import is_pronoun
from gateway.text.digits.numbers import (
    NUMBER_WORDS,
    OH_WORDS,
    REPEAT_WORDS,
    Element,
    Token,
    elements,
    tokenize,
    vocabulary,
)
from gateway.text.digits.runs import HOMOPHONES, JOINERS, Run, find_runs, only_joiners
from gateway.text.entities.email import find_addresses
from gateway.text.mask import MASK, Edit, mask_run

__all__ = ["hide_addresses", "hide_numbers"]

_ADDRESS_CUES = vocabulary("email emails mail gmail hotmail mailbox")
_DOTS = vocabulary("dot underscore dash hyphen")
# Tokens from the end in which a cue counts.
_CUE_REACH, _DOT_REACH = 8, 4
# What would make an address of an unfinished one.
_ENDS_OF_ADDRESS = (" dot com", " at example dot com")
# Digits behind which a short strange word is likely another one, how many of them, and how long (see misheard).
_FEW_DIGITS = 2
_STRANGE_WORDS = 2
_STRANGE_LETTERS = 5
_PLAIN = vocabulary("a am an are as at be but he i if in is it my of on or our she that the they was we were you your")


def hide_numbers(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], cuts: Sequence[tuple[int, int]], *, sensitive: bool
) -> list[Edit]:
    """The edits that hide every number of an unfinished text outside ``cuts``.

    "One" as a pronoun ("one of them") stays, unless it ends the text or the time is ``sensitive``.
    """
    runs = find_runs(text, tokens, numbers, cuts, eager=True)
    shown = {run.elements[0].first for run in runs if not (sensitive or run.at_end) and is_pronoun(tokens, run)}
    hidden = [run for run in runs if run.elements[0].first not in shown]
    edits = [mask_run(text, run.elements) for run in hidden]
    covered = shown | {index for run in hidden for index in range(run.elements[0].first, run.elements[-1].last + 1)}
    doubtful = _trailing(tokens, hidden) | _homophones(tokens, numbers)
    for index, token in enumerate(tokens):
        if index in covered or any(start < token.end and token.start < end for start, end in cuts):
            continue
        if index in doubtful or token.digits or _is_number_word(tokens, index):
            edits.append(Edit(token.start, token.end, MASK * (len(token.word) if token.digits else 1)))
    return edits


def _is_number_word(tokens: Sequence[Token], index: int) -> bool:
    word = tokens[index].word
    if word in NUMBER_WORDS:
        return True
    return (word in OH_WORDS or word in REPEAT_WORDS) and only_joiners(tokens[index + 1 :])


def _trailing(tokens: Sequence[Token], runs: Sequence[Run]) -> set[int]:
    """Words at the text's end, behind digits, that may be misheard digits."""
    if not runs or runs[-1].count < _FEW_DIGITS:
        return set()
    behind = range(runs[-1].elements[-1].last + 1, len(tokens))
    strange = {index for index in behind if tokens[index].word not in JOINERS | _PLAIN}
    short = all(len(tokens[index].word) <= _STRANGE_LETTERS for index in strange)
    return strange if short and len(strange) <= _STRANGE_WORDS else set()


def _homophones(tokens: Sequence[Token], numbers: Sequence[Element]) -> set[int]:
    """Words that sound like digits, behind a number and before another one or the end."""
    lasts, firsts = {number.last for number in numbers}, {number.first for number in numbers} | {len(tokens)}
    return {
        index
        for index, token in enumerate(tokens)
        if token.word in HOMOPHONES and index - 1 in lasts and index + 1 in firsts
    }


def hide_addresses(text: str) -> list[tuple[int, int]]:
    """Spans of e-mail addresses in an unfinished text, begun ones included, left to right and apart."""
    tokens = tokenize(text)
    words = [token.word for token in tokens]
    cued = not _ADDRESS_CUES.isdisjoint(words[-_CUE_REACH:]) or not _DOTS.isdisjoint(words[-_DOT_REACH:])
    spans: set[tuple[int, int]] = set()
    for end in ("", *_ENDS_OF_ADDRESS) if cued else ("",):
        longer = text + end
        again = tokenize(longer)
        found = find_addresses(longer, again, elements(longer, again))
        spans |= {(start, min(stop, len(text))) for start, stop in found if start < len(text)}
    return _merged(sorted(spans))


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
