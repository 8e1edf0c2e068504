"""Whether a sentence is over where a text ends: what lets an endpoint come sooner, or makes it wait.

A caller who has asked a question waits for the answer; one who has said "and my number is" has only drawn breath. The
words are English; a text in another language is judged by nothing (:attr:`Verdict.OPEN`).

What the verdicts bring and cost is measured by ``benchmarks/bench_endpoint.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import StrEnum

from gateway.speech.engine import Hypothesis

__all__ = ["CONFIDENT", "CONFIDENT_IN_NOISE", "Verdict", "judge", "read"]


class Verdict(StrEnum):
    """What a text says about the sentence."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    OPEN = "open"  # it says nothing


CONFIDENT = 0.6
"""Mean token probability from which a text is believed to be complete, on a quiet line. A caller on a poor telephone
is read with 0.6 to 0.9, and his full stops are as good as any."""

CONFIDENT_IN_NOISE = 0.85
"""The same where speech hardly stands out of the noise: there words are missing or invented as often as not, and what
is cut into short pieces is read worse. With 0.6, white noise 15 dB below the voice costs a fifth more word errors."""

LEAST_WORDS = 3
"""Fewer, "yes.", "all right.", "T. I.", are followed by more as often as not."""

LEAST_TO_BREAK_OFF = 2

# What no sentence ends with, full stop or not (the recogniser puts one behind nearly everything).
_HANGING = re.compile(r"an?|the|and|or|but|because|if|my|your|our|their|um|uh|erm?|(i|we|they|it)'(m|re|s|d|ll)")
# What a sentence may end with, but hardly does where the recogniser saw no end.
_LEADING = re.compile(
    r"so|of|to|for|from|at|by|into|with|in|on|as|than|that|like|about|is|are|was|were|just|also|not|very|his|her"
)
_ABBREVIATIONS = frozenset(["mr", "mrs", "ms", "dr", "st", "no", "vs", "e.g", "i.e", "etc"])
_FIELD = re.compile(r"\b(number|name|address|code|pin|date|email|id|account|zip)( \w+)? (is|was|are)\W*$", re.I)
# An address that is being spelled: "martin dot lane", but not "example dot com".
_ADDRESS = re.compile(r"\b(dot|underscore|hyphen)( (?!(com|org|net|edu|gov|info|io|co|uk)\b)\w+)?\W*$", re.I)
_FIGURES = re.compile(r"[$#]?\d[\d\-.,:]*")
# Digits of a telephone number (with and without the country) and of a card: with so many, a number is all there.
_WHOLE_NUMBERS = frozenset([10, 11, 16])


def read(hypothesis: Hypothesis | None, *, quiet: bool, languages: Collection[str] = ("en",)) -> Verdict:
    """What a hypothesis says, with regard to how sure the recogniser is of it.

    Args:
        hypothesis: None where the recogniser could not tell: nothing is said.
        quiet: whether the line is.
        languages: that the recogniser reads; only sentences of English are judged.
    """
    if hypothesis is None or "en" not in languages:
        return Verdict.OPEN
    verdict = judge(hypothesis.text)
    sure = CONFIDENT if quiet else CONFIDENT_IN_NOISE
    return Verdict.OPEN if verdict is Verdict.COMPLETE and hypothesis.confidence < sure else verdict


def judge(text: str) -> Verdict:
    """Whether a sentence is over where ``text`` ends; English.

    A word alone says nothing: "And?", "My." and "Um." are what is left of something misheard as often as they begin
    what goes on, and who waits a second after each is late after every answer.
    """
    words = text.split()
    if len(words) < LEAST_TO_BREAK_OFF:
        return Verdict.OPEN
    last = words[-1]
    bare = last.strip(".,?!;:-\"'…").lower()
    if last.endswith("?"):
        return Verdict.COMPLETE if len(words) >= LEAST_WORDS else Verdict.OPEN
    if (number := _number(words)) is not None:
        return number
    hanging = _HANGING.fullmatch(bare) is not None or last.endswith(("-", "—", "…", "...", ":", ","))
    if hanging or _FIELD.search(text) or _ADDRESS.search(text) or _spelling(words):
        return Verdict.INCOMPLETE
    if last.endswith((".", "!")):
        whole = len(words) >= LEAST_WORDS and bare not in _ABBREVIATIONS
        return Verdict.COMPLETE if whole else Verdict.OPEN
    return Verdict.INCOMPLETE if _LEADING.fullmatch(bare) else Verdict.OPEN


def _number(words: Sequence[str]) -> Verdict | None:
    """The verdict on a text that ends in the figures of a number; None for another."""
    figures: list[str] = []
    for word in reversed(words):
        if not _FIGURES.fullmatch(word.rstrip(".,?!")):
            break
        figures.append(word)
    if len(figures) < 2 and not (figures and "-" in figures[0]):
        return None
    digits = sum(character.isdigit() for word in figures for character in word)
    return Verdict.OPEN if digits in _WHOLE_NUMBERS else Verdict.INCOMPLETE


def _spelling(words: Sequence[str]) -> bool:
    """Whether the text ends in letters spoken one by one."""
    letters = [word.replace(".", "").rstrip(",") for word in words[-2:]]
    alone = [len(one) == 1 and one.isalpha() for one in letters]
    return alone[-1] and (all(alone) or letters[-1].lower() not in "ia")
