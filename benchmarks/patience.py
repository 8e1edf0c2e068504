"""How long a pause ends an utterance, by what its text says about the sentence: the policies of ``bench_endpoint``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.speech.engine import Hypothesis
from gateway.speech.track import FRAME_MS, MIN_SILENCE_FRAMES

__all__ = ["POLICIES", "TEXT_FRAMES", "Policy", "Verdict", "judge"]

TEXT_FRAMES = 3
"""From a pause to the text of what was said before it: 96 ms. A decode takes 11 ms for a second of speech, so that is
enough for 8 s; the text of a longer one is later, and so would its endpoint be."""


class Verdict(StrEnum):
    """What a text says about the sentence."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    OPEN = "open"  # it says nothing


LEAST_WORDS = 3
"""Fewer, "yes.", "all right.", "T. I.", are followed by more as often as not."""

# What no sentence ends with, full stop or not (the recogniser puts one behind nearly everything).
_HANGING = re.compile(r"an?|the|and|or|but|because|if|my|your|our|their|um|uh|erm?|(i|we|they|it)'(m|re|s|d|ll)")
# What a sentence may end with, but hardly does where the recogniser saw no end.
_LEADING = re.compile(
    r"so|of|to|for|from|at|by|into|with|in|on|as|than|that|like|about|is|are|was|were|just|also|not|very|his|her"
)
_ABBREVIATIONS = frozenset(["mr", "mrs", "ms", "dr", "st", "no", "vs", "e.g", "i.e", "etc"])
_FIELD = re.compile(r"\b(number|name|address|code|pin|date|email|id|account|zip)( \w+)? (is|was|are)\W*$", re.I)
_FIGURES = re.compile(r"[$#]?\d[\d\-.,:]*")
# Digits of a telephone number (with and without the country) and of a card: with so many, a number is all there.
_WHOLE_NUMBERS = frozenset([10, 11, 16])


def judge(text: str) -> Verdict:
    """Whether a sentence is over where ``text`` ends; English."""
    words = text.split()
    if not words:
        return Verdict.OPEN
    last = words[-1]
    bare = last.strip(".,?!;:-\"'…").lower()
    if last.endswith("?"):
        return Verdict.COMPLETE if len(words) >= LEAST_WORDS else Verdict.OPEN
    if (number := _number(words)) is not None:
        return number
    hanging = _HANGING.fullmatch(bare) is not None or last.endswith(("-", "—", "…", "...", ":", ","))
    if hanging or _FIELD.search(text) or _spelling(words):
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


@dataclass(frozen=True, slots=True)
class Policy:
    """How many frames of silence end an utterance, by what its text says.

    A long one ends at half of them, but not before ``least``; one ``hurry`` times as long at a third. A text of less
    confidence than ``sure`` is not taken for complete.
    """

    name: str
    frames: Mapping[Verdict, int]
    least: int = MIN_SILENCE_FRAMES
    hurry: float = 2.0
    sure: float = 0.0

    def patience(self, verdict: Verdict, length: int, long_frames: int) -> int:
        """Frames of silence for an utterance of ``length`` frames so far."""
        frames = self.frames[verdict]
        if length < long_frames:
            return frames
        if length < self.hurry * long_frames:
            return max(self.least, frames // 2)
        return max(MIN_SILENCE_FRAMES, frames // 3)

    def verdict(self, hypothesis: Hypothesis) -> Verdict:
        """Of a text and how sure the recogniser is of it."""
        verdict = judge(hypothesis.text)
        return Verdict.OPEN if verdict is Verdict.COMPLETE and hypothesis.confidence < self.sure else verdict


def _fixed(silence: int) -> Policy:
    return Policy(f"{silence * FRAME_MS} ms", dict.fromkeys(Verdict, silence))


def _told(complete: int, usual: int, incomplete: int, sure: float = 0.0) -> Policy:
    frames = {Verdict.COMPLETE: complete, Verdict.OPEN: usual, Verdict.INCOMPLETE: incomplete}
    name = "/".join(str(count * FRAME_MS) for count in frames.values()) + f" sure {sure}"
    return Policy(name, frames, MIN_SILENCE_FRAMES + TEXT_FRAMES, 1.5, sure)


POLICIES = (
    _fixed(15),
    _fixed(10),
    _fixed(22),
    _told(8, 15, 25),
    _told(10, 15, 25),
    _told(15, 15, 25),
    _told(8, 15, 25, 0.8),
    _told(8, 15, 31, 0.8),
    _told(10, 15, 25, 0.8),
)
"""Today's, others without text, and frames of silence by what the text says: complete, open, incomplete."""
