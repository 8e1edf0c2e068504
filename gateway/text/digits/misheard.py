"""Digits that were not understood as digits: "one six eight by eight seven" was "168 5 87".

A recognizer that hears a string of digits writes some of them as words ("ball", "by", "tooth"). Short strange words
between digits, in a stretch that is mostly digits, are taken for digits: hidden with the rest, and no reason to show
what stands on either side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.text.digits.numbers import Element, Form, Token

__all__ = ["bridge"]

_MAX_WORDS = 2
_MAX_LETTERS = 5
# Digits beside the strange words, and digits of the whole stretch, below which they are words after all.
_BESIDE, _WHOLE = 4, 6
# The same after a request, when numbers are expected.
_EAGER_BESIDE, _EAGER_WHOLE = 3, 3


def bridge(
    tokens: Sequence[Token],
    pieces: Sequence[list[Element]],
    apart: Callable[[Element, Element], bool],
    *,
    joiners: frozenset[str],
    eager: bool,
) -> list[list[Element]]:
    """``pieces`` with those joined that only misheard digits part.

    Args:
        tokens: the utterance's tokens.
        pieces: numbers in rows, left to right.
        apart: tells whether something other than words parts two numbers.
        joiners: words that are neither digits nor strange.
        eager: numbers are expected.
    """
    beside, whole = (_EAGER_BESIDE, _EAGER_WHOLE) if eager else (_BESIDE, _WHOLE)
    chains: list[list[list[Element]]] = []
    for piece in pieces:
        if chains and sum(map(_count, chains[-1][::2])) + _count(piece) >= beside:
            left, right = chains[-1][-1][-1], piece[0]
            strange = [] if apart(left, right) else _strange(tokens, left, right, joiners)
            if strange:
                chains[-1] += [strange, piece]
                continue
        chains.append([piece])
    joined: list[list[Element]] = []
    for chain in chains:
        if sum(_count(piece) for piece in chain[::2]) >= whole:
            joined.append([number for piece in chain for number in piece])
        else:
            joined += chain[::2]
    return joined


def _count(piece: Sequence[Element]) -> int:
    return sum(number.count for number in piece)


def _strange(tokens: Sequence[Token], left: Element, right: Element, joiners: frozenset[str]) -> list[Element]:
    """The words between two digits as digits; empty if they are too many, too long, or the numbers no single digits."""
    if not (left.single and right.single):
        return []
    words = [index for index in range(left.last + 1, right.first) if tokens[index].word not in joiners]
    short = all(len(tokens[index].word) <= _MAX_LETTERS and tokens[index].word.isalpha() for index in words)
    if not short or not 1 <= len(words) <= _MAX_WORDS:
        return []
    return [Element(index, index, tokens[index].start, tokens[index].end, "?", Form.MISHEARD) for index in words]
