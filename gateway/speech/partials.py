"""Interim texts of an utterance that is still open: when to decode it, and how much of the text is sure. Sans-I/O.

*When* (:meth:`Interim.due`): first when :data:`FIRST_MS` of it were heard, then every :data:`PERIOD_MS`, and ever less
often as it grows, because each decode reads the utterance from its beginning: all decodes together read at most
:data:`COST` times what was heard. One decode of a track is under way at a time, and silence is not decoded again. A
decode that the pause asked for is an interim text as well, and costs nothing here.

*How much is sure* (:class:`Agreement`): what two hypotheses in a row agree on, word by word from the start, is not
taken back until the final text replaces all of it. This is the local agreement (``LA-2``) of Liu, Spanakis and
Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection"
(Interspeech 2020, arXiv:2005.11185), which Macháček, Dabre and Bojar use for Whisper in "Turning Whisper into Real-Time
Transcription System" (IJCNLP-AACL 2023, arXiv:2307.14743).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COST", "FIRST_MS", "PERIOD_MS", "Agreement", "Interim", "Partial"]

FIRST_MS = 800
"""Heard before the first decode: shorter audio is mostly a word or two, and often misread."""

PERIOD_MS = 600
"""Heard between two decodes at least: two or three words at the usual pace."""

COST = 4
"""Audio decoded for interim texts, at most, as a multiple of the utterance's length."""

_WORD = re.compile(r"\S*[^\W_]\S*")
_NOT_SPOKEN = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Partial:
    """What an open utterance says so far.

    ``start`` is where its speech begins, in samples of stream time, as in its segment later. The first ``stable``
    characters of ``text`` stay until the final text comes. ``revision`` counts from 1 in each utterance. An empty
    text takes back what was shown.
    """

    start: int
    text: str
    stable: int
    revision: int


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a hypothesis: compared by ``key``; ``end`` is behind its last letter, where punctuation begins."""

    key: str
    start: int
    end: int


class Agreement:
    """The part of successive hypotheses of one utterance that they agree on."""

    def __init__(self) -> None:
        self._agreed = ""
        self._keys: list[str] = []
        self._before: list[str] = []

    def update(self, text: str) -> tuple[str, int]:
        """Take the next hypothesis, of more audio than the one before.

        Returns:
            The text to show and how many characters of it are sure. That prefix only ever grows: its words stay as
            they were first agreed on, whatever later hypotheses say of their case or punctuation.
        """
        words = _words(text)
        keys = [word.key for word in words]
        at = self._aligned(keys)
        # The hypothesis before, behind what was agreed on then; the agreed words themselves are not asked about again.
        before = self._before
        more = 0
        while at + more < len(keys) and more < len(before) and keys[at + more] == before[more]:
            more += 1
        if more:
            begin = words[at - 1].end if at else words[0].start
            addition = text[begin : words[at + more - 1].end]
            self._agreed += addition if at or not self._agreed else f" {addition}"
            self._keys += keys[at : at + more]
            at += more
        self._before = keys[at:]
        rest = text[words[at - 1].end :] if at else text.strip()
        if not at and self._agreed and rest:
            rest = f" {rest}"
        return self._agreed + rest.rstrip(), len(self._agreed)

    def _aligned(self, keys: Sequence[str]) -> int:
        """How many words of the hypothesis stand for the words that are agreed on already."""
        agreed = self._keys
        if keys[: len(agreed)] == agreed:
            return len(agreed)
        # It now says otherwise: the least number of edits from the agreed words to a beginning of the hypothesis
        # tells where the news begin; of equals the one nearest in length.
        costs = list(range(len(keys) + 1))
        for row, one in enumerate(agreed, start=1):
            diagonal, costs[0] = costs[0], row
            for column, other in enumerate(keys, start=1):
                least = min(costs[column] + 1, costs[column - 1] + 1, diagonal + (one != other))
                diagonal, costs[column] = costs[column], least
        return min(range(len(costs)), key=lambda column: (costs[column], abs(column - len(agreed))))


def _words(text: str) -> list[_Word]:
    found = []
    for match in _WORD.finditer(text):
        said = match.group()
        spoken = len(said)
        while _NOT_SPOKEN.fullmatch(said[spoken - 1]):
            spoken -= 1
        key = _NOT_SPOKEN.sub("", said).casefold()
        found.append(_Word(key, match.start(), match.start() + spoken))
    return found


class Interim:
    """The interim texts of one track; made when somebody begins to read along.

    Lengths are ms of the utterance's audio, up to its latest speech.
    """

    def __init__(self) -> None:
        self._start = -1
        # Length at the last decode, or at the last attempt.
        self._last_ms = 0
        self._spent_ms = 0
        # Length of the decode that is under way, 0 without one.
        self._asked_ms = 0
        self._agreement = Agreement()
        self._shown: tuple[str, int] = ("", 0)
        self._revision = 0

    def due(self, start: int, length_ms: int) -> bool:
        """Whether to decode the open utterance now; it is the one that begins at sample ``start``."""
        if start != self._start:
            self._begin(start)
        if self._asked_ms or length_ms < max(FIRST_MS, self._last_ms + PERIOD_MS):
            return False
        return self._spent_ms + length_ms <= COST * length_ms

    def _begin(self, start: int) -> None:
        self._start = start
        self._last_ms = self._spent_ms = self._asked_ms = self._revision = 0
        self._agreement = Agreement()
        self._shown = ("", 0)

    def begun(self, length_ms: int) -> None:
        """A decode of that much audio was asked for."""
        self._asked_ms = self._last_ms = length_ms
        self._spent_ms += length_ms

    def postponed(self, length_ms: int) -> None:
        """The recognizer has more urgent work: ask again a period later."""
        self._last_ms = length_ms

    def failed(self, start: int) -> None:
        """The decode was given up."""
        if start == self._start:
            self._asked_ms = 0

    def answered(self, start: int, text: str) -> Partial | None:
        """A decode of the utterance that began at ``start`` says ``text``; None where that is no news."""
        if start != self._start:
            return None
        asked_ms, self._asked_ms = self._asked_ms, 0
        # A pause may have been read meanwhile, of more audio.
        return None if asked_ms < self._last_ms else self._show(text)

    def paused(self, start: int, length_ms: int, text: str) -> Partial | None:
        """The decode at a pause says ``text``, of ``length_ms``; None where that is no news."""
        if start != self._start:
            self._begin(start)
        elif length_ms < self._last_ms:
            return None
        self._last_ms = length_ms
        return self._show(text)

    def _show(self, text: str) -> Partial | None:
        shown = self._agreement.update(text)
        if shown == self._shown:
            return None
        self._shown = shown
        self._revision += 1
        return Partial(self._start, *shown, self._revision)
