"""A second hearing of a doubtful utterance, with the one before it in the ear.

An utterance is short, two or three seconds as often as not, and the model was trained on up to thirty: of a bad line it
makes what the sounds allow. So what it is not sure of is decoded again behind the utterance before it on the same
track: that one's audio is put in front of its own, that one's text is said to the decoder as if it had just found it,
and the search goes on from there. What it finds is the utterance's text and nothing else, so nothing has to be cut
away; and it has heard the speaker, the line and the subject for longer.

Only the doubtful ones pay for it, and only where the second text is the surer one does it replace the first.
What it brings and costs, and what was tried instead, is in ``docs/accuracy.md`` (``benchmarks/bench_words.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.speech.engine import Hypothesis, Past, Pcm
from gateway.speech.graphs import Audio, Decoding, Graphs
from gateway.speech.tokenizer import START

__all__ = ["DOUBTFUL", "LONGEST_MS", "Row", "doubtful", "fits", "go_on", "joined"]

DOUBTFUL = 0.8
"""Mean token probability below which an utterance is heard again. With 0.85 two fifths more are, for 1 to 7 % fewer
errors; below 0.75 too few are to be of use."""

LONGEST_MS = 12_000
"""Audio of both utterances, beyond which there is no second hearing: most of the cost is that of the longest, and they
gain least, being long enough by themselves."""

_SAMPLES_PER_MS = 8


def fits(past: Past, samples: int) -> bool:
    """Whether an utterance of so many samples, 8 kHz, and the one before it are short enough together."""
    return len(past.audio) + samples <= LONGEST_MS * _SAMPLES_PER_MS


def joined(past: Past, pcm: Pcm) -> Pcm | None:
    """The audio of both utterances, 8 kHz; None if it is too long."""
    return np.concatenate([past.pcm, pcm]) if fits(past, len(pcm)) else None


class Row(Protocol):
    """A hypothesis in the making."""

    @property
    def done(self) -> bool:
        """Whether it takes no more."""

    @property
    def limit(self) -> int:
        """Most tokens that it takes."""

    def take(self, token: int, probability: float) -> None:
        """Add the next token; the end's, or one too many, ends it."""


def doubtful(hypothesis: Hypothesis) -> bool:
    """Whether an utterance should be heard again."""
    return bool(hypothesis.said) and hypothesis.confidence < DOUBTFUL


def go_on(
    graphs: Graphs, audio: Audio, said: Sequence[int], draft: Sequence[int], row: Row, spare: int = 0
) -> Decoding:
    """Decode ``audio`` greedily behind the tokens ``said``, which stand for its first part; into ``row``.

    Args:
        graphs: of the model.
        audio: both utterances, 16 kHz, as the model hears it.
        said: tokens of the first one's text.
        draft: what the second one's is thought to be: as far as it is found again, it costs next to nothing.
        row: takes the tokens of the second's.
        spare: tokens for which there should be room beyond the row's limit.

    Returns:
        The decoding, to ask what else may have been said.
    """
    decoding = graphs.begin([audio], len(said) + row.limit + 2 + spare)
    spoken = np.array([START, *said, *draft[: row.limit]], np.int64)
    at = len(said)
    likely = decoding.say(0, spoken)
    if likely is None:
        # Graphs that take one token a step: the draft is of no use.
        for one in spoken[: at + 1]:
            following = decoding.step(np.array([one]))
        token = _take(following[0], row)
    else:
        while (token := _take(likely[at], row)) is not None and [token] == spoken[at + 1 : at + 2].tolist():
            at += 1
        decoding.unsay(0, at + 1)
    while token is not None:
        token = _take(decoding.step(np.array([token]))[0], row)
    return decoding


def _take(likely: NDArray[np.float32], row: Row) -> int | None:
    """Give the likeliest token to ``row``; None if that ends it."""
    token = int(likely.argmax())
    row.take(token, float(likely[token]))
    return None if row.done else token
