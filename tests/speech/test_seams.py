"""Two texts of a monologue that was cut, where they meet."""

import numpy as np
import pytest

from gateway.speech.engine import Hypothesis, Token
from gateway.speech.seams import OVERLAP_MS, doubled, overlapped, sewn


def joined(first: str, second: str, sure: float = 1.0, surer: float = 1.0) -> str:
    return second[doubled(first, second, sure, surer) :]


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        # What is doubled goes, with the punctuation behind it.
        ("the superlative degree of", "degree of comparison only.", "comparison only."),
        ("We went home. And then,", "And then, we slept.", "we slept."),
        ("I said Hello", "hello, my name is Ann", "my name is Ann"),
        # All of it is doubled.
        ("and that was all.", "was all", ""),
        ("and that was all.", "was all.", ""),
        # The second's first word is cut in halves, or nothing.
        ("its noisiest authorities insisted", "is insisted on being", "on being"),
        ("to go there tomorrow", "ere tomorrow morning", "morning"),
        # The same word heard a little otherwise.
        ("some of its noisiest authority", "authorities insisted", "insisted"),
        # Nothing is doubled.
        ("and so it ends", "Another story begins", "Another story begins"),
        ("", "Another story", "Another story"),
        ("and so it ends", "", ""),
        # Like words further from the cut are none of its business.
        ("the age of wisdom it was", "was the age of foolishness", "the age of foolishness"),
        ("yes yes we know that", "we knew yes that is right", "is right"),
        # Numbers meet by their digits, however they are grouped.
        ("my number is 312 555", "555-0178.", "0178."),
        ("my number is 31255", "2550178", "0178"),
        ("that is 12.", "34 euros", "34 euros"),
    ],
)
def test_what_is_said_twice_goes(first: str, second: str, left: str) -> None:
    assert joined(first, second) == left


def test_of_a_word_that_the_cut_has_spoilt_the_surer_text_is_believed() -> None:
    first, second = "in the superlative degree of compass", "degree of purity only"
    assert joined(first, second, 0.9, 0.8) == "only"
    assert joined(first, second, 0.8, 0.9) == "purity only"


def test_the_next_piece_begins_with_the_last_of_the_one_before() -> None:
    before, after = np.arange(20_000, dtype=np.int16), np.arange(8_000, dtype=np.int16)
    pcm = overlapped(before, after)
    assert len(pcm) == OVERLAP_MS * 8 + 8_000
    assert np.array_equal(pcm, np.concatenate([before[-OVERLAP_MS * 8 :], after]))
    assert np.array_equal(overlapped(before[:100], after), np.concatenate([before[:100], after]))
    assert np.array_equal(overlapped(before, after, 0), after)


def test_the_tokens_of_what_goes_go_too_and_times_count_from_the_cut() -> None:
    first = Hypothesis("the degree of", final=True, confidence=0.9)
    words = (Token("degree", 100, 500, 0.8), Token("of", 600, 950, 0.9), Token("comparison", 980, 1500, 0.7))
    second = Hypothesis("degree of comparison", final=True, confidence=0.8, tokens=words)
    alone = Hypothesis("person", final=True, confidence=0.5)
    assert sewn(first, alone, second, 1000) == Hypothesis(
        "comparison", final=True, confidence=0.8, tokens=(Token("comparison", 0, 500, 0.7),)
    )
    assert sewn(first, alone, Hypothesis("of", final=True), 1000) == Hypothesis("", final=True)


def test_where_nothing_meets_the_piece_is_read_from_the_cut_on() -> None:
    first, alone = Hypothesis("and so it ends", final=True), Hypothesis("story begins", final=True, said=(4,))
    assert sewn(first, alone, Hypothesis("Another story begins", final=True)) is alone
