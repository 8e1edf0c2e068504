"""Speech whose words have known places, and how far others' word times are from them. No I/O.

Three references, none of which the gateway has a say in:

``digits``  recordings of single digits, cut to their sound and joined: known to the sample. Every third sequence has
            no pauses, every third pauses of 40 to 120 ms, the rest of 100 to 500 ms.
``spoken``  sentences said by eSpeak NG, which tells the sample at which each word begins: connected speech. Where it
            says that a word ends is where the next begins.
``read``    recordings of people, aligned to their known text by pocketsphinx: people's own speech; the aligner counts
            frames of 10 ms and errs itself, on some words by more than is measured here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

from benchmarks.speech.borders import Word
from gateway.speech.engine import Pcm

__all__ = [
    "MARK_MS",
    "SENTENCES",
    "Spoken",
    "calibration",
    "joined",
    "matched",
    "placed_in_line",
    "sound",
    "statistics",
]

RATE = 8000
MARK_MS = 100

_FRAME = RATE // 100
_SOUND_DB = -30.0
"""Frames of 10 ms within so much of the loudest are the sound of a digit; what lies outside of them is cut off."""

_PAUSES_MS = ((0, 0), (40, 120), (100, 500))
_SPEECH_RMS, _NOISE_RMS = 3000.0, 20.0
_LEAD_MS, _TAIL_MS = (300, 800), 800

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

SENTENCES = (
    "please send the order to the office on monday morning",
    "i would like to change the name on my account",
    "the package should have been here last thursday",
    "how much will it cost to repair the front door",
    "we moved to a new house and the old number does not work",
    "my phone is locked and nobody can call me back",
    "there is a strange noise from the kitchen at night",
    "thank you for calling and have a good evening",
    "the driver left the box behind the house in the rain",
    "i have been waiting for an answer for three weeks",
    "can you tell me what the second charge is for",
    "yes the green one with the wooden table please",
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording, 8 kHz, with the place of each of its words."""

    id: str
    kind: str
    pcm: Pcm
    words: tuple[Word, ...]


def sound(pcm: Pcm) -> Pcm:
    """A recording of one word without the quiet around it."""
    frames = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    power = np.square(frames).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (_SOUND_DB / 10))
    return pcm[loud[0] * _FRAME : (loud[-1] + 1) * _FRAME]


def joined(takes: Mapping[str, Mapping[int, Sequence[Pcm]]], count: int, seed: int) -> list[Spoken]:
    """Digits said one after the other, each sequence by one speaker.

    Args:
        takes: of each speaker the recordings of each digit.
        count: sequences.
        seed: of everything that is drawn.
    """
    random = np.random.default_rng(seed)
    speakers = sorted(takes)
    spoken = []
    for number in range(count):
        speaker = speakers[number % len(speakers)]
        pauses = _PAUSES_MS[number // len(speakers) % len(_PAUSES_MS)]
        parts: list[tuple[float, Pcm, str]] = []
        for _ in range(int(random.integers(3, 8))):
            digit = int(random.integers(10))
            of_digit = takes[speaker][digit]
            one = sound(of_digit[int(random.integers(len(of_digit)))])
            parts.append((float(random.integers(pauses[0], pauses[1] + 1)), one, DIGITS[digit]))
        signals, words, at = [], [], 0
        for pause_ms, one, text in parts:
            level = _SPEECH_RMS / np.sqrt(np.square(one.astype(np.float64)).mean())
            rest = np.zeros(int(pause_ms * RATE / 1000))
            signals += [one * level, rest]
            words.append(Word(at * 1000 // RATE, (at + len(one)) * 1000 // RATE, text))
            at += len(one) + len(rest)
        pcm, words = placed_in_line(np.concatenate(signals), words, random)
        spoken.append(Spoken(f"{speaker}-{number}", "digits", pcm, tuple(words)))
    return spoken


def placed_in_line(
    signal: NDArray[np.float64], words: Iterable[Word], random: np.random.Generator
) -> tuple[Pcm, list[Word]]:
    """Speech with the quiet of a telephone line around it, and its words moved accordingly."""
    lead_ms = int(random.integers(*_LEAD_MS))
    around = (np.zeros(lead_ms * RATE // 1000), signal, np.zeros(_TAIL_MS * RATE // 1000))
    line = np.concatenate(around)
    line += random.normal(0, _NOISE_RMS, len(line))
    moved = [Word(word.begin + lead_ms, word.end + lead_ms, word.text) for word in words]
    return line.clip(-32768, 32767).astype(np.int16), moved


def _key(text: str) -> str:
    # Two words that are one ("of the") are no word of the other text.
    plain = re.sub(r"[^\w']", "", text).casefold()
    return DIGITS[int(plain)] if len(plain) == 1 and plain.isdecimal() else plain


def matched(reference: Sequence[Word], heard: Sequence[Word]) -> list[tuple[int, int]]:
    """Words that both have, aligned with the fewest errors: places in ``reference`` and in ``heard``."""
    if not reference or not heard:
        return []
    # A word of mere punctuation is nobody's; it must not shift the others.
    one, other = (" ".join(_key(word.text) or "-" for word in words) for words in (reference, heard))
    chunks = jiwer.process_words(one, other).alignments[0]
    return [
        (chunk.ref_start_idx + at, chunk.hyp_start_idx + at)
        for chunk in chunks
        if chunk.type == "equal"
        for at in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


def statistics(errors: Sequence[float]) -> dict[str, float]:
    """Of signed errors in ms: how large they are, and which way they go."""
    size = np.abs(np.array(errors, np.float64))
    return {
        "words": len(errors),
        "mean": round(float(size.mean()), 1),
        "median": round(float(np.median(size)), 1),
        "p95": round(float(np.percentile(size, 95)), 1),
        "within_mark": round(float((size <= MARK_MS).mean()), 3),
        "late": round(float(np.median(errors)), 1),
    }


def calibration(told: Sequence[tuple[float, bool]], edges: Sequence[float]) -> list[dict[str, Any]]:
    """Of words told with a confidence, how many of those between two edges were right."""
    bins = []
    for low, high in pairwise(edges):
        of = [(sure, right) for sure, right in told if low <= sure < high]
        if of:
            sure, right = (float(np.mean(column)) for column in zip(*of, strict=True))
            bins.append({"from": low, "words": len(of), "confidence": round(sure, 3), "right": round(right, 3)})
    return bins
