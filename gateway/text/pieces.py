"""Texts that are too long to be an utterance: redacted in pieces, so that the time for one is bounded.

A call's utterances are cut at 30 s, at most some 800 characters; a recognizer that repeats itself, or a long recording
with cutting turned off, may give more. Each piece is redacted as an utterance of its own by the same rules; what is
beyond the last piece is masked.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LONGEST", "MOST_PIECES", "Pieces", "cut"]

LONGEST = 2_000
"""Characters of a text that is redacted at once."""

MOST_PIECES = 16
"""Pieces of a longer one that are; the rest is masked."""

_LOOK_BACK = 400


@dataclass(slots=True)
class Pieces:
    """A long text as it is shown by now: ``shown`` holds its pieces in order, the first is utterance ``first``."""

    first: int
    shown: list[str]

    def revise(self, utterance: int, text: str) -> None:
        """A piece was redacted anew."""
        self.shown[utterance - self.first] = text

    def text(self) -> str:
        """All of it."""
        return "".join(self.shown)


def cut(text: str) -> tuple[list[str], str]:
    """``(pieces, rest)``: pieces of at most :data:`LONGEST` characters that end with a sentence or at least a word.

    Without a blank in reach a piece ends in a word; a number is followed over the cut like one over two utterances.
    """
    pieces: list[str] = []
    at = 0
    while at < len(text) and len(pieces) < MOST_PIECES:
        end = at + LONGEST
        if end < len(text):
            end = _border(text, at, end)
        pieces.append(text[at:end])
        at = end
    return pieces, text[at:]


def _border(text: str, start: int, end: int) -> int:
    low = max(start + 1, end - _LOOK_BACK)
    sentence = max(text.rfind(mark, low, end) for mark in (". ", "? ", "! "))
    if sentence >= 0:
        return sentence + 2
    blank = text.rfind(" ", low, end)
    return blank + 1 if blank >= 0 else end
