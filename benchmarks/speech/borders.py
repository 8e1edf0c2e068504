"""Which ends of speech end an utterance: where a turn or a sentence is over, as against a pause in its middle.

For an end with the pause behind it (:mod:`benchmarks.speech.energy`), the first rule that holds:

1. *last*: nothing follows in this channel: a border;
2. *second*: the pause lasts a second or more: a border, whatever was said; no reader waits longer;
3. *turn*: the other speaker begins in the pause, or up to 200 ms before it, and speaks for a second or more: a border.
   Less is an "okay" that the first one speaks through;
4. *sentence*: a recogniser with more context than any live one has (Whisper base, each stretch between pauses of a
   second as a whole, and what was said before it) writes ``.``, ``?`` or ``!`` there: a border. Its word times are no
   better than some 200 ms, so the gap between two words that lies nearest to the pause is the one meant;
5. *pause*: anything else is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from benchmarks.speech.energy import Run

__all__ = ["STRETCH_MARGIN_MS", "VERSION", "End", "Word", "ends", "stretches"]

VERSION = 1
"""Of this method and that of :mod:`benchmarks.speech.energy`; label files say by which they were made."""

SECOND_MS = 1000
TURN_MS = 1000
EARLY_TURN_MS = 200
STRETCH_MARGIN_MS = 200
"""Audio before and behind a stretch that the recogniser hears too."""


class Word(NamedTuple):
    """A word as recognised, in ms from the recording's first sample."""

    begin: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """An end of speech; ``rule`` says why it is a border or none."""

    ms: int
    border: bool
    rule: str


def stretches(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that are less than a second apart, together."""
    found: list[list[Run]] = []
    for run in runs:
        if found and run.begin - found[-1][-1].end < SECOND_MS:
            found[-1].append(run)
        else:
            found.append([run])
    return found


def ends(runs: Sequence[Run], other: Sequence[Run], words: Sequence[Sequence[Word]]) -> list[End]:
    """Judge the ends of a channel.

    Args:
        runs: its speech.
        other: the other channel's; empty if there is none.
        words: of each of its :func:`stretches`, in order; of a stretch without a pause they do not matter.
    """
    found = []
    for stretch, said in zip(stretches(runs), words, strict=True):
        over = _sentences(stretch, said)
        for (run, following), sentence in zip(pairwise(stretch), over, strict=True):
            if _taken_over(run.end, following.begin, other):
                found.append(End(run.end, True, "turn"))
            else:
                found.append(End(run.end, sentence, "sentence" if sentence else "pause"))
        found.append(End(stretch[-1].end, True, "last" if stretch[-1] is runs[-1] else "second"))
    return found


def _taken_over(end: int, resumed: int, other: Sequence[Run]) -> bool:
    return any(end - EARLY_TURN_MS <= run.begin < resumed and run.end - run.begin >= TURN_MS for run in other)


def _sentences(stretch: Sequence[Run], words: Sequence[Word]) -> list[bool]:
    """For each pause of a stretch whether a sentence is over there."""
    pauses = [(run.end, following.begin) for run, following in pairwise(stretch)]
    # Behind the last word is a gap too: the recogniser may have no word for a breath at the end.
    last = Word(stretch[-1].end, stretch[-1].end, "")
    gaps = [(one.end, max(one.end, next.begin), one.text) for one, next in pairwise([*words, last])]
    if not gaps:
        return [False] * len(pauses)

    def apart(pause: tuple[int, int], gap: tuple[int, int, str]) -> tuple[int, int]:
        return max(0, pause[0] - gap[1], gap[0] - pause[1]), abs(gap[0] - pause[0])

    found = []
    for pause in pauses:
        gap = min(gaps, key=lambda gap: apart(pause, gap))
        # A gap is that of one pause: two pauses around a sound that is no word are not two ends of a sentence.
        meant = min(pauses, key=lambda other: apart(other, gap)) == pause
        found.append(meant and _over(gap[2]))
    return found


def _over(text: str) -> bool:
    """Whether a word ends a sentence; dots that trail off do not."""
    text = text.rstrip("\"' ")
    return text.endswith((".", "?", "!")) and not text.endswith("..")
