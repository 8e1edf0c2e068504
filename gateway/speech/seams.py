"""The seam of a monologue that was cut: no word of it lost, none said twice.

What is cut at the longest that an utterance may be is cut between two words if it can be, and else within one. So the
next piece is decoded with the last :data:`OVERLAP_MS` before the cut in front of it: the word at the cut is heard whole
once. What both texts hold is then taken from the second, whose first part has most likely been delivered.

The texts are aligned by their words (a number by its digits) where they meet: at the end of the first and at the
beginning of the second. A word in halves is read as another one, so the first's last word and the second's first may
fail to match, and like words match nearly. Sans-I/O; no language is assumed but that spaces or digits part words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np

from gateway.speech.engine import Hypothesis, Pcm, Token

__all__ = ["OVERLAP_MS", "doubled", "overlapped", "sewn"]

OVERLAP_MS = 1000
"""Two or three words: enough to meet the first text with one of them in halves."""

REACH = 8
"""Words at each edge that are looked at: as many as a quick speaker says in the overlap, and a few more."""

_SAMPLES_PER_MS = 8

# Digits one by one: the pieces of a number are grouped anew in each text.
_WORD = re.compile(r"\d|[^\W\d_]+(?:['’][^\W\d_]+)*")

# Words that are alike by so much are hearings of one: "authority" and "authorities", not "the" and "that".
_ALIKE = 0.6

# What a pair of equal words is worth, of like ones, of different ones, and what a word without a partner costs.
_EQUAL, _NEAR, _OTHER, _ALONE = 2.0, 1.0, -1.5, -1.0


@dataclass(frozen=True, slots=True)
class _Word:
    """A word as it is compared, and where it ends in its text."""

    key: str
    start: int
    end: int


def overlapped(before: Pcm, after: Pcm, overlap_ms: int = OVERLAP_MS) -> Pcm:
    """The piece ``after`` a cut with the last of the piece ``before`` it; both 8 kHz, shape ``(samples,)``."""
    return np.concatenate([before[max(0, len(before) - overlap_ms * _SAMPLES_PER_MS) :], after])


def doubled(first: str, second: str, first_confidence: float = 1.0, second_confidence: float = 1.0) -> int:
    """How many characters at the beginning of ``second`` say again what ``first`` ends with.

    Where the texts meet, the first may have one word more, which the cut has spoilt, and the second another in its
    place, which it has heard whole. Then the surer text is believed: the word goes too unless the second is surer.

    Returns:
        The length of what is to go, 0 if nothing is doubled: all of ``second`` is new then.
    """
    one, two = _words(first)[-REACH:], _words(second)[:REACH]
    best, pairs = _align(tuple(word.key for word in one), tuple(word.key for word in two))
    if best <= 0:
        return 0
    last_one, last_two = pairs[-1]
    spoilt = len(one) - 1 - last_one
    if spoilt == 1 and last_two + 1 < len(two) and first_confidence >= second_confidence:
        last_two += 1
    end = two[last_two].end
    if last_two + 1 < len(two):
        return two[last_two + 1].start
    rest = _WORD.search(second, end)
    return rest.start() if rest else len(second)


def sewn(first: Hypothesis, alone: Hypothesis, second: Hypothesis, overlap_ms: int = OVERLAP_MS) -> Hypothesis:
    """The text behind a cut: ``second``, decoded with the overlap, without what ``first`` has said already.

    Where they have no word in common, the overlap was heard otherwise the second time, and what is doubled cannot be
    told: then ``alone``, decoded from the cut on, is the text. Times of tokens are counted from the cut.
    """
    gone = doubled(first.text, second.text, first.confidence, second.confidence)
    if not gone:
        return alone
    text = second.text[gone:]
    kept = len(text.split())
    tokens = tuple(_later(token, overlap_ms) for token in second.tokens[len(second.tokens) - kept :]) if kept else ()
    # Its tokens stand for more audio than its own.
    return replace(second, text=text, tokens=tokens, said=())


def _later(token: Token, overlap_ms: int) -> Token:
    start = max(0, token.start_ms - overlap_ms)
    return replace(token, start_ms=start, end_ms=max(start, token.end_ms - overlap_ms))


def _words(text: str) -> list[_Word]:
    return [_Word(found.group().casefold(), found.start(), found.end()) for found in _WORD.finditer(text)]


def _align(one: Sequence[str], two: Sequence[str]) -> tuple[float, list[tuple[int, int]]]:
    """The best alignment of an end of ``one`` with a beginning of ``two``: its worth, and the pairs that match.

    Words before it in ``one`` and behind it in ``two`` cost nothing. Its last pair is of the last word of ``one`` or of
    the last but one: what is further from the cut was not said again, however alike it sounds.
    """
    # worth[i, j]: of the best alignment of one[:i] with two[:j] that began before any word of `one`.
    worth = np.zeros((len(one) + 1, len(two) + 1))
    worth[0] = np.arange(len(two) + 1) * _ALONE
    steps = np.full(worth.shape, 2, np.int8)
    best, end = 0.0, (0, 0)
    for i, left in enumerate(one, 1):
        for j, right in enumerate(two, 1):
            match = _match(left, right)
            choices = (worth[i - 1, j - 1] + match, worth[i - 1, j] + _ALONE, worth[i, j - 1] + _ALONE)
            steps[i, j] = max(range(3), key=choices.__getitem__)
            worth[i, j] = choices[steps[i, j]]
            total = choices[0] + _ALONE * (len(one) - i)
            if match > 0 and len(one) - i <= 1 and total > best:
                best, end = total, (i, j)
    pairs = []
    i, j = end
    step = 0
    while i and j:
        if step == 0 and _match(one[i - 1], two[j - 1]) > 0:
            pairs.append((i - 1, j - 1))
        i, j = i - (step != 2), j - (step != 1)
        step = int(steps[i, j])
    return best, pairs[::-1]


@lru_cache(maxsize=1024)
def _match(left: str, right: str) -> float:
    if left == right:
        return _EQUAL
    if left.isdigit() or right.isdigit():
        return _OTHER
    return _NEAR if SequenceMatcher(None, left, right, autojunk=False).ratio() >= _ALIKE else _OTHER
