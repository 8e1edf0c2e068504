"""The references of word times, and what is worked out of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.speech.borders import Word
from benchmarks.speech.word_times import calibration, joined, matched, placed_in_line, sound, statistics
from gateway.speech.engine import Pcm


def tone(ms: int, level: int = 8000) -> Pcm:
    wave: Pcm = (level * np.sin(np.arange(ms * 8) * 0.5)).astype(np.int16)
    return wave


def recording(ms: int) -> Pcm:
    """A sound with a quiet of 100 ms before it and 50 ms behind."""
    return np.concatenate([tone(100, 20), tone(ms), tone(50, 20)])


def test_a_sound_is_cut_out_of_its_quiet() -> None:
    assert np.array_equal(sound(recording(300)), tone(300))


def test_digits_lie_where_they_are_said_to_lie() -> None:
    takes = {"ann": {digit: [recording(100 + 30 * digit)] for digit in range(10)}}
    spoken = joined(takes, 9, seed=3)
    pauses = []
    for one in spoken:
        loud = np.abs(one.pcm.astype(np.int32)) > 500
        assert not loud[: one.words[0].begin * 8 - 8].any()
        assert not loud[one.words[-1].end * 8 + 8 :].any()
        for word in one.words:
            assert loud[word.begin * 8 : word.begin * 8 + 40].any()
            assert loud[word.end * 8 - 40 : word.end * 8].any()
        for left, right in pairwise(one.words):
            pauses.append(right.begin - left.end)
            assert not loud[left.end * 8 + 8 : right.begin * 8 - 8].any()
    assert min(pauses) == 0
    assert 100 <= max(pauses) <= 501
    again = joined(takes, 9, seed=3)
    assert all(
        np.array_equal(one.pcm, other.pcm) and one.words == other.words
        for one, other in zip(spoken, again, strict=True)
    )
    assert joined(takes, 9, seed=4)[0].words != spoken[0].words


def test_words_move_with_their_speech() -> None:
    pcm, words = placed_in_line(
        tone(200).astype(np.float64), [Word(0, 80, "a"), Word(80, 200, "b")], np.random.default_rng(0)
    )
    begin = int(np.flatnonzero(np.abs(pcm.astype(np.int32)) > 500)[0]) // 8
    assert words[0].begin == pytest.approx(begin, abs=1)
    assert (words[1].begin, words[1].end) == (words[0].begin + 80, words[0].begin + 200)


def test_words_that_were_read_right_are_matched_in_order() -> None:
    reference = [Word(0, 0, text) for text in ("five", "two", "don't", "go", "two", "of us")]
    heard = [Word(0, 0, text) for text in ("5", "-", "Don't,", "go", "too", "two.", "of", "us")]
    assert matched(reference, heard) == [(0, 0), (2, 2), (3, 3), (4, 5)]
    assert matched(reference, []) == []


def test_errors_are_told_by_size_and_by_direction() -> None:
    assert statistics([-20.0, 40.0, 100.0, 160.0]) == {
        "words": 4,
        "mean": 80.0,
        "median": 70.0,
        "p95": 151.0,
        "within_mark": 0.75,
        "late": 70.0,
    }


def test_confidences_are_held_against_what_was_right() -> None:
    told = [(0.2, False), (0.4, True), (0.9, True), (1.0, True), (1.0, False)]
    assert calibration(told, (0.0, 0.5, 0.8, 1.01)) == [
        {"from": 0.0, "words": 2, "confidence": 0.3, "right": 0.5},
        {"from": 0.8, "words": 3, "confidence": 0.967, "right": 0.667},
    ]
