"""Nothing from nothing: which hypotheses are the recognizer's invention. Sans-I/O.

An encoder-decoder says something of whatever it hears. Most of what is not speech never gets here, because the voice
activity model does not take it for speech; what does is short, weak or steady, and its text is known by more than the
text. No guard goes by a text alone, and none by the confidence in a word or two: measured on what got here,
inventions come with a mean token probability of 0.38 to 0.94, and single digits really spoken with 0.40 to 0.97.

What they cannot tell is a voice that says nothing. A throat cleared aloud has the folds' pulses and a tract's
resonances: level, probability, confidence and periodicity all lie within those of words on bad lines.

Each threshold stands beside the figures that it was chosen by (``benchmarks/bench_nothing.py`` for inventions; clean
telephone speech and the eight conditions of ``benchmarks/audio/conditions.py`` for what must stay).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gateway import metrics
from gateway.speech.engine import Hypothesis

__all__ = ["Reason", "SpeechEvidence", "guard", "judge"]

_FRAME_MS = 32

_STEADY_DB = 5.0
"""Loudest frame over the tenth percentile of a segment's frames. Noise and hum that got here: 0.4 to 3.7 dB; speech:
7.6 at the least (in babble 12 dB below it), so that a line as noisy as the speaker is loud still passes."""

_SURE = 0.8
"""Mean probability of a segment's frames of speech from which on it is speech, whatever else is said of it. Inventions:
0.43 to 0.80; single digits on a clean line: 0.64 to 0.99."""

_FEW_FRAMES = 3
_FAINT = 0.6
"""Frames of speech (96 ms), and their mean probability, up to which speech is faint. Words on bad lines go as low in
both, so that this convicts only a text that is suspect by itself."""

_NOTHING = frozenset({"you", "thank you for watching!", "thank you for watching.", "thanks for watching!"})
"""What the model says of nothing. Made to read 1,000 stretches without speech, it wrote a bare "You" for 756 and "Thank
you for watching" for 87, never the one with a mark behind it, as it has for every sentence that it hears. In all real
speech and conditions it wrote a bare "You" 25 times, and never rightly."""
_MARKS = frozenset("♪©")
"""Music, and the subtitles that the model learnt from."""

_THANKS = frozenset({"thank you", "thanks"})
"""24 times for nothing, and one of the commonest of real answers: it goes only if it was both too short to be said and
faint."""

_HESITATIONS = frozenset({"ah", "eh", "hm", "hmm", "mhm", "mm", "uh", "um", "uh-huh", "mm-hmm", "huh"})
"""What the model makes of a cough, a breath, a throat. Callers say them too, so that only those go that are too short
to be said: 96 ms judged to be speech, or 128 ms from its first frame to its last."""
_SHORT_MS = 128

_SLOW_MS = 3000
_SLOWEST = 0.7
"""Tokens a second of at least 3 s of speech: 2.3 at the least in speech; an invention is a word or two, however long
the sound. Too many tokens a second cannot happen: the search is bounded (:func:`gateway.speech.moonshine.token_limit`),
and real speech on bad lines reaches its bound."""

_REPEATED = 4
_REPEATED_RATE = 6.0
_LONGEST_PHRASE = 8
"""A phrase of up to eight words said four times on end or oftener, at more words a second than people speak. Callers do
say "no, no, no, no" and "zero zero zero zero", at three or four words a second."""

_UNSURE = 0.2
_UNSURE_TOKENS = 3
"""Mean token probability of a text of some length: 0.21 at the least in speech, bad lines included. A single word
says nothing by it: words heard rightly have as little as 0.08."""


class Reason(StrEnum):
    """Why a hypothesis is not believed; the label of ``gateway_asr_suppressed_total``."""

    STEADY = "steady"  # nothing stands out of the noise
    NOTHING = "nothing"  # the text that stands for nothing, and no sure speech
    HESITATION = "hesitation"  # a cough's text, and too little speech to say it
    SLOW = "slow"  # too few tokens for so much speech
    REPETITION = "repetition"  # a phrase over and over, faster than it can be said
    CONFIDENCE = "confidence"  # the recognizer itself does not believe it


@dataclass(frozen=True, slots=True)
class SpeechEvidence:
    """What voice activity knows of a segment.

    ``frames`` are those of 32 ms judged to be speech, ``mean`` is their mean probability (0 without any), and
    ``prominence_db`` how far the loudest frame stands above the quietest tenth of the segment, pre-roll and post-roll
    included.
    """

    frames: int
    mean: float
    prominence_db: float

    @classmethod
    def of(cls, probabilities: Sequence[float], levels: Sequence[float], threshold: float) -> SpeechEvidence:
        """Of a segment's frames: speech probabilities, levels in dBFS, and from which probability on it is speech."""
        found = np.asarray(probabilities, np.float64)
        speech = found[found >= threshold]
        return cls(len(speech), float(speech.mean()) if len(speech) else 0.0, _prominence(np.asarray(levels)))


def _prominence(levels: NDArray[np.float64]) -> float:
    return float(levels.max() - np.percentile(levels, 10)) if len(levels) else 0.0


def judge(hypothesis: Hypothesis, duration_ms: int, speech: SpeechEvidence | None) -> Reason | None:
    """Why a hypothesis is an invention, or None to believe it.

    Args:
        hypothesis: what the recognizer made of a segment.
        duration_ms: the segment's length from its first frame of speech to its last.
        speech: what voice activity knows of it; without it only the text's own guards are asked.
    """
    if not hypothesis.text.strip():
        return None
    if speech is not None and (reason := _weak(hypothesis.text, duration_ms, speech)) is not None:
        return reason
    seconds = duration_ms / 1000
    words = hypothesis.text.split()
    if _repeated(words) > _REPEATED + _REPEATED_RATE * seconds:
        return Reason.REPETITION
    tokens = hypothesis.length
    if not tokens:
        return None
    if duration_ms >= _SLOW_MS and tokens < _SLOWEST * seconds:
        return Reason.SLOW
    return Reason.CONFIDENCE if tokens >= _UNSURE_TOKENS and hypothesis.confidence < _UNSURE else None


def guard(hypothesis: Hypothesis, duration_ms: int, speech: SpeechEvidence | None) -> Hypothesis:
    """The hypothesis, or an empty one in place of an invention; counts those by reason."""
    reason = judge(hypothesis, duration_ms, speech)
    if reason is None:
        return hypothesis
    metrics.ASR_SUPPRESSED.labels(reason).inc()
    return Hypothesis(text="", final=hypothesis.final)


def _weak(text: str, duration_ms: int, speech: SpeechEvidence) -> Reason | None:
    """The guards that ask voice activity."""
    said = text.strip().lower()
    bare = said.strip(".,?!… ")
    few, faint = speech.frames <= _FEW_FRAMES, speech.mean < _FAINT
    if speech.mean < _SURE:
        if speech.prominence_db < _STEADY_DB:
            return Reason.STEADY
        if said in _NOTHING or not _MARKS.isdisjoint(said):
            return Reason.NOTHING
    if bare in _THANKS and few and faint:
        return Reason.NOTHING
    return Reason.HESITATION if bare in _HESITATIONS and (few or duration_ms <= _SHORT_MS) else None


def _repeated(words: Sequence[str]) -> int:
    """Words of the longest run of a phrase of up to eight words said over and over, at least four times; else 0."""
    plain = [word.strip(".,?!…").lower() for word in words]
    longest = 0
    for length in range(1, min(_LONGEST_PHRASE, len(plain) // _REPEATED) + 1):
        run = 0
        for at in range(length, len(plain)):
            run = run + 1 if plain[at] == plain[at - length] else 0
            if run + length >= _REPEATED * length:
                longest = max(longest, run + length)
    return longest
