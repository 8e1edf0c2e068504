"""Runs: numbers that a listener would write down as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.text.numbers import Element, Form, Token, vocabulary

__all__ = ["JOINERS", "MIN_DIGITS", "Run", "find_runs", "only_joiners"]

MIN_DIGITS = 3
"""A shorter run is not hidden by itself."""

JOINERS = vocabulary(
    "um umm uhm uh uhh er err erm eh ah hm hmm mm mhm huh "  # hesitations
    "and then dash hyphen minus space point dot period comma slash stroke plus next "
    "sorry wait okay ok yeah yes so well like no"
)
"""Words over which a run goes on: nobody who reads out a number says only digits."""

# Heard for "four", "two", "eight", "one" by recognizers; digits only between two single digits of a run.
_HOMOPHONES = frozenset({"for", "fore", "to", "too", "ate", "won"})
_MAX_JOINERS = 6
# Text that was masked before parts as the address did that stood there: masking twice is masking once.
_MASKED = "##"


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers in a row, with ``count`` digits in all; whether it touches the utterance's start and end."""

    elements: tuple[Element, ...]
    count: int
    at_start: bool
    at_end: bool


def find_runs(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], cuts: Sequence[tuple[int, int]], *, lone_oh: bool
) -> list[Run]:
    """The runs in ``numbers``, left to right.

    Args:
        text: the utterance.
        tokens: its tokens.
        numbers: its numbers.
        cuts: spans that no run enters or crosses; numbers inside them are left out.
        lone_oh: an utterance of nothing but "oh" is a zero.
    """
    groups: list[list[Element]] = []
    for number in numbers:
        if any(start < number.end and number.start < end for start, end in cuts):
            continue
        links = _links(text, tokens, groups[-1][-1], number, cuts) if groups else None
        if links is None:
            groups.append([number])
        else:
            groups[-1] += [*links, number]
    runs = (_run(tokens, piece, lone_oh) for group in groups for piece in _settle(text, group, lone_oh))
    return [run for run in runs if run is not None]


def only_joiners(tokens: Sequence[Token]) -> bool:
    """True where no word ends a run: nothing but hesitations and joining words."""
    return all(token.word in JOINERS for token in tokens)


def _links(
    text: str, tokens: Sequence[Token], left: Element, right: Element, cuts: Sequence[tuple[int, int]]
) -> list[Element] | None:
    """What joins two numbers: mostly nothing, or the digit that a homophone stands for. None: they stand apart."""
    between = tokens[left.last + 1 : right.first]
    if any(left.end <= start < right.start for start, _ in cuts) or _MASKED in text[left.end : right.start]:
        return None
    if only_joiners(between):
        return [] if len(between) <= _MAX_JOINERS else None
    if len(between) == 1 and between[0].word in _HOMOPHONES and left.single and right.single:
        return [Element(left.last + 1, left.last + 1, between[0].start, between[0].end, 1, Form.HOMOPHONE)]
    return None


def _settle(text: str, group: Sequence[Element], lone_oh: bool) -> list[list[Element]]:
    """Cut a group where its doubtful digits are words after all: homophones and an "oh," that opens it."""
    firm = sum(number.count for number in group if number.form is not Form.HOMOPHONE)
    pieces: list[list[Element]] = [[]]
    for number in group:
        if number.form is Form.HOMOPHONE and firm < MIN_DIGITS:
            pieces.append([])
        else:
            pieces[-1].append(number)
    return [_without_exclamation(text, piece) if not lone_oh else piece for piece in pieces]


def _without_exclamation(text: str, piece: list[Element]) -> list[Element]:
    """The piece without the "Oh" of "Oh, twenty two"; but "oh, four, one, one" keeps it."""
    if len(piece) != 2 or piece[0].form is not Form.OH:
        return piece
    parted = bool(text[piece[0].end : piece[1].start].strip())
    return piece[1:] if parted and not piece[1].single else piece


def _run(tokens: Sequence[Token], piece: Sequence[Element], lone_oh: bool) -> Run | None:
    if not piece:
        return None
    at_start = only_joiners(tokens[: piece[0].first])
    at_end = only_joiners(tokens[piece[-1].last + 1 :])
    if all(number.form is Form.OH for number in piece) and not (lone_oh and at_start and at_end):
        return None
    return Run(tuple(piece), sum(number.count for number in piece), at_start, at_end)
