"""Where each word of an utterance lies, and how sure the decoder was of it.

As the decoder says a token it attends to the audio, most of all to where the token is spoken. Nothing makes it do so in
order or without gaps, so the words' places are found together: of all ways to lay the tokens along the frames, in
their order and with quiet between the words, the likeliest (Viterbi). A frame that a token holds counts by the
token's attention to it. One between words counts by how quiet it is: attention alone would stretch a word over the
pause beside it.

How well this hits, and how it was measured, is in ``docs/word-times.md`` (``benchmarks/bench_word_times.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.speech.attention import FRAME_MS, Attention
from gateway.speech.engine import Pcm, Token

__all__ = ["Word", "fitted", "grouped", "laid", "loudness", "placed", "tokens"]

_SAMPLES_PER_MS = 8
_HOP = FRAME_MS * _SAMPLES_PER_MS

# The encoder's convolutions see 895 samples of 16 kHz: the middle of frame 0 is 28 ms from the first sample.
_MIDDLE_MS = 28

# Attention that counts as none: that of 1000 frames looked at alike. It keeps one frame from deciding over a word.
_LEAST = 1e-3

# A quiet frame belongs to no word unless one gives it more than a twelfth of its attention: measured, between a
# twentieth (pauses are swallowed) and a seventh (weak ends of words are lost) the errors are flat.
_PAUSE = float(np.log(1 / 12))

# Quiet is what lies in the lower 30 % of the way, in dB, from the line's noise to the voice. A frame as loud as the
# voice is 1100 times less likely (e⁻⁷) to be a pause, so that no attention makes a pause of speech.
_QUIET = 0.3
_LOUD = 10.0
_NOISE_PERCENTILE, _VOICE_PERCENTILE = 10, 95


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands in the text, punctuation included, and its tokens: the first, and the one behind the last."""

    content: str
    first: int
    after: int


def tokens(pieces: Sequence[bytes], probabilities: Sequence[float], heard: Attention, pcm: Pcm) -> tuple[Token, ...]:
    """The words of an utterance with their times and confidences.

    A word's confidence is the product of its tokens' probabilities, its punctuation's left out: the probability that
    all of them are right. Measured on 3,390 words of which 76 % were right, it tells right from wrong best (Brier score
    0.109; the least of them 0.112, their mean 0.125).

    Args:
        pieces: what each token adds to the text, as :meth:`~gateway.speech.tokenizer.Tokenizer.pieces` gives it.
        probabilities: how sure the decoder was of each token.
        heard: what was in the ear as each was said.
        pcm: the utterance's audio, 8 kHz, shape ``(samples,)``.

    Returns:
        Words in order; their times rise, do not overlap, and lie within the audio.
    """
    words = grouped(pieces)
    end_ms = len(pcm) // _SAMPLES_PER_MS
    spans = laid(heard, loudness(pcm, heard.shape[1]), words)
    found = []
    for word, (first, after) in zip(words, spans, strict=True):
        start, end = (min(max(0, _border_ms(frame)), end_ms) for frame in (first, after))
        said = [at for at in range(word.first, word.after) if _speaks(pieces[at])] or range(word.first, word.after)
        found.append(Token(word.content, start, end, math.prod(probabilities[at] for at in said)))
    return tuple(found)


def fitted(found: Sequence[Token], text: str) -> tuple[Token, ...]:
    """Of words ``found``, the last ones, as they stand in ``text``: their beginning was left out of it.

    A number may have lost its first digits with it, or a word the full stop before it.
    """
    contents = text.split()
    kept = found[max(0, len(found) - len(contents)) :]
    return tuple(replace(token, content=content) for token, content in zip(kept, contents, strict=False))


def placed(found: Sequence[Token], begin_ms: int, start_ms: int, end_ms: int) -> tuple[Token, ...]:
    """Words on the clock of a call.

    Args:
        found: of an utterance's audio, whose first sample is at ``begin_ms``.
        begin_ms: on the call's clock, as all that follows.
        start_ms: where the utterance is said to begin; no word begins before.
        end_ms: where it is said to end; no word ends behind.
    """
    return tuple(
        replace(
            token,
            start_ms=min(max(begin_ms + token.start_ms, start_ms), end_ms),
            end_ms=min(max(begin_ms + token.end_ms, start_ms), end_ms),
        )
        for token in found
    )


def grouped(pieces: Sequence[bytes]) -> list[Word]:
    """Tokens as words: what stands between two spaces. A token that is a mere space is in none."""
    words: list[Word] = []
    content, first = b"", 0
    for at, piece in enumerate(pieces):
        before, *others = piece.replace("▁".encode(), b" ").split(b" ")
        content += before
        for other in others:
            if content:
                words.append(_word(content, first, at))
            content, first = other, at
    if content:
        words.append(_word(content, first, len(pieces)))
    return words


def _word(content: bytes, first: int, after: int) -> Word:
    # A piece with a space in its middle is part of two words; each has at least that one token.
    return Word(content.decode("utf-8", "replace"), first, max(after, first + 1))


def _speaks(piece: bytes) -> bool:
    """Whether a token stands for sounds; part of a character (a byte of several) may."""
    return any(character.isalnum() or character == "\ufffd" for character in piece.decode("utf-8", "replace"))


def _border_ms(frame: int) -> int:
    """Where ``frame`` begins: half a hop before its middle."""
    return frame * FRAME_MS + _MIDDLE_MS - FRAME_MS // 2


def loudness(pcm: Pcm, frames: int) -> NDArray[np.float64]:
    """How loud each frame is, (frames,): 0 the line's noise, 1 the voice, on a scale of dB.

    ``pcm`` is 8 kHz; frames behind its end are as quiet as can be.
    """
    begin = (_MIDDLE_MS - FRAME_MS // 2) * _SAMPLES_PER_MS
    padded = np.zeros(frames * _HOP)
    audio = pcm[begin : begin + frames * _HOP]
    # An offset of the line would count as noise.
    padded[: len(audio)] = audio - (pcm.mean() if len(pcm) else 0.0)
    power = 10 * np.log10(np.square(padded.reshape(frames, _HOP)).mean(axis=1) + 1)
    own = power[: max(1, len(audio) // _HOP)]
    noise, voice = np.percentile(own, (_NOISE_PERCENTILE, _VOICE_PERCENTILE))
    result: NDArray[np.float64] = (power - noise) / max(voice - noise, 1.0)
    return result


def laid(weights: Attention, loud: NDArray[np.float64], words: Sequence[Word]) -> list[tuple[int, int]]:
    """Words along the frames: the first frame of each, and the one behind its last.

    Args:
        weights: of each token.
        loud: as :func:`loudness` gives it, (frames,).
        words: in order; their tokens are looked for.
    """
    states = _states(words)
    frames = len(loud)
    if frames < sum(state >= 0 for state in states):
        # Fewer frames than tokens: not speech. Words side by side, each as long as the others.
        borders = np.linspace(0, frames, len(words) + 1).astype(int).tolist()
        return list(pairwise(borders))
    order = np.array(states)
    pause = _PAUSE - _LOUD * np.maximum(0.0, loud - _QUIET)
    held = np.log(weights.astype(np.float64) + _LEAST)
    likely = np.where((order >= 0)[:, None], held[np.maximum(order, 0)], pause[None])
    path = order[_path(likely, order)]
    spans: list[tuple[int, int]] = []
    for word in words:
        of_word = np.flatnonzero((path >= word.first) & (path < word.after))
        # Two words may share a token: its frames are the first's.
        before = spans[-1][1] if spans else 0
        spans.append((max(before, int(of_word[0])), max(before, int(of_word[-1]) + 1)))
    return spans


def _states(words: Sequence[Word]) -> list[int]:
    """What follows what: a token, or −1 for the quiet before, between and behind words."""
    states, last = [-1], -1
    for word in words:
        # It has none of its own if it shares its only token with the word before.
        if own := range(max(word.first, last + 1), word.after):
            states += [*own, -1]
            last = own[-1]
    return states


def _path(likely: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The likeliest way through the states, (states, frames), a state for each frame.

    Every token has at least a frame; the quiet between two may have none, so it can be stepped over.
    """
    states, frames = likely.shape
    skips = np.flatnonzero((order[1:-1] < 0) & (order[2:] >= 0)) + 2
    worth = np.full(states, -np.inf)
    worth[:2] = likely[:2, 0]
    came = np.zeros((frames, states), np.int8)
    places = np.arange(states)
    choices = np.full((3, states), -np.inf)
    for frame in range(1, frames):
        choices[0] = worth
        choices[1, 1:] = worth[:-1]
        choices[2, skips] = worth[skips - 2]
        came[frame] = choices.argmax(axis=0)
        worth = choices[came[frame], places] + likely[:, frame]
    at = states - 1 if states == 1 or worth[-1] >= worth[-2] else states - 2
    path = np.zeros(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = at
        at -= int(came[frame, at])
    return path
