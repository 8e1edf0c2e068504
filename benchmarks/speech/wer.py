"""Word error rate, what the errors are, and how sure a difference is. No I/O.

Words are compared after whisper-normalizer (English), which takes away case and punctuation and writes numbers as
digits, and aligned by jiwer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import jiwer
import numpy as np
from numpy.typing import NDArray
from whisper_normalizer.english import EnglishTextNormalizer

__all__ = ["RESAMPLES", "Difference", "Error", "Score", "difference", "normalize", "one_word", "score"]

RESAMPLES = 2000


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normalize(text: str) -> str:
    """The words of a text as they are compared, a space between each two."""
    return str(_normalizer()(text)).strip()


def one_word(reference: str) -> bool:
    """Whether the normaliser makes one word of several (spoken digits): all of it is right, or nothing."""
    return len(reference.split()) > 1 and len(normalize(reference).split()) < 2


@dataclass(frozen=True, slots=True)
class Error:
    """What should have been there and what was; one of the two is empty for an insertion or a deletion."""

    reference: str
    heard: str


@dataclass(frozen=True, slots=True)
class Score:
    """One file: word errors of so many reference words.

    ``border`` counts the errors that touch a place where one utterance ends and the next begins: words that
    endpointing, not the recognizer, may have spoilt.
    """

    words: int
    substitutions: int
    deletions: int
    insertions: int
    border: int
    alignment: tuple[Error, ...]

    @property
    def errors(self) -> int:
        """All kinds together."""
        return self.substitutions + self.deletions + self.insertions


def score(reference: str, texts: Sequence[str]) -> Score:
    """Compare the utterances of one file, in the order of speech, with what was said in it."""
    heard = normalize(" ".join(texts))
    output = jiwer.process_words(normalize(reference), heard)
    words, hypothesis = output.references[0], output.hypotheses[0]
    # A number said across a border is one word then, and the later borders are off by a word: for a few files only.
    borders = list(accumulate(len(normalize(text).split()) for text in texts))[:-1]
    alignment, border = [], 0
    for chunk in output.alignments[0]:
        if chunk.type == "equal":
            continue
        first, last = chunk.hyp_start_idx, chunk.hyp_end_idx
        count = max(chunk.ref_end_idx - chunk.ref_start_idx, last - first)
        beside = sum(first - 1 < at < last + 1 for at in borders)
        border += min(count, 2 * beside)
        alignment.append(
            Error(" ".join(words[chunk.ref_start_idx : chunk.ref_end_idx]), " ".join(hypothesis[first:last]))
        )
    return Score(
        output.hits + output.substitutions + output.deletions,
        output.substitutions,
        output.deletions,
        output.insertions,
        border,
        tuple(alignment),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours against theirs, relative to theirs: −0.2 is a fifth fewer errors. ``low`` to ``high`` holds 95 %."""

    relative: float
    low: float
    high: float


def difference(
    ours: NDArray[np.int64], theirs: NDArray[np.int64], seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """Paired bootstrap by file: files are drawn with all that was heard of them, for both sides alike.

    Args:
        ours: word errors of each file, over whatever conditions; shape ``(files,)``.
        theirs: the same files'.
        seed: of the drawing.
        resamples: how often the files are drawn anew.

    Raises:
        ValueError: not the same files, or none.
    """
    if ours.shape != theirs.shape or not len(ours):
        msg = f"errors of {len(ours)} and {len(theirs)} files: both sides need the same files, one at the least"
        raise ValueError(msg)
    drawn = np.random.default_rng(seed).integers(0, len(ours), (resamples, len(ours)))
    bounds = np.percentile(_relative(ours[drawn].sum(axis=1), theirs[drawn].sum(axis=1)), (2.5, 97.5))
    relative = _relative(ours.sum(keepdims=True), theirs.sum(keepdims=True))
    return Difference(float(relative[0]), float(bounds[0]), float(bounds[1]))


def _relative(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.float64]:
    """None of both is no difference; some against none counts as twice as many."""
    return (ours - theirs) / np.where(theirs > 0, theirs, np.maximum(ours, 1))
