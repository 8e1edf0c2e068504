from __future__ import annotations

import numpy as np
import pytest

from benchmarks.speech.wer import Error, difference, normalize, one_word, score


def test_case_punctuation_and_spelt_numbers_do_not_count() -> None:
    result = score("ten of clubs, mister Smith", ["10 of clubs,", "Mr. Smith."])
    assert (result.errors, result.words) == (0, 5)
    assert normalize("Hello, World!") == "hello world"


def test_every_kind_of_error_is_counted_and_shown() -> None:
    result = score("the child almost hurt the small dog", ["The child has almost heard the dog."])
    assert (result.substitutions, result.deletions, result.insertions, result.words) == (1, 1, 1, 7)
    assert result.errors == 3
    assert set(result.alignment) == {Error("", "has"), Error("hurt", "heard"), Error("small", "")}


def test_silence_leaves_everything_out() -> None:
    result = score("two words", [])
    assert (result.errors, result.deletions, result.words) == (2, 2, 2)


@pytest.mark.parametrize(
    ("texts", "border"),
    [
        (["the cat sat on", "the mat"], 0),
        (["the cat sat in", "the mat"], 1),  # the last word before it
        (["the cat sat on", "a mat"], 1),  # the first word after it
        (["the bat sat on", "the mat"], 0),  # a word in the middle
        (["the cat sat", "the mat"], 1),  # the word that was lost there
        (["the cat sat in the mat"], 0),  # no border at all
    ],
)
def test_errors_at_borders_are_told_apart(texts: list[str], border: int) -> None:
    assert score("the cat sat on the mat", texts).border == border


def test_digits_that_become_one_word_are_known() -> None:
    assert one_word("one zero zero zero one")
    assert not one_word("ten of clubs")
    assert not one_word("hello")


def test_the_same_errors_are_no_difference() -> None:
    errors = np.array([3, 1, 4, 1, 5])
    result = difference(errors, errors)
    assert (result.relative, result.low, result.high) == (0, 0, 0)


def test_half_the_errors_everywhere_is_sure() -> None:
    theirs = np.array([2, 4, 6, 8, 2, 4])
    result = difference(theirs // 2, theirs)
    assert (result.relative, result.low, result.high) == (-0.5, -0.5, -0.5)


def test_a_difference_that_one_file_makes_is_not_sure() -> None:
    theirs = np.array([20, 1, 1, 1, 1, 1])
    ours = np.array([5, 2, 2, 1, 1, 1])
    result = difference(ours, theirs)
    assert result.relative == pytest.approx(-13 / 25)
    assert result.low < -0.6
    assert result.high > 0


def test_bounds_are_the_same_every_time_and_hold_about_what_they_should() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.poisson(10, 400)
    ours = rng.binomial(theirs, 0.8)
    result = difference(ours, theirs)
    assert result == difference(ours, theirs)
    assert result != difference(ours, theirs, seed=1)
    # 4,000 errors, each kept with probability 0.8: standard error √(0.8 · 0.2 / 4000) = 0.0063.
    assert result.low < -0.2 < result.high
    assert result.high - result.low == pytest.approx(4 * 0.0063, rel=0.25)


def test_no_errors_at_all_can_be_compared() -> None:
    none, some = np.zeros(3, np.int64), np.array([1, 0, 2])
    assert difference(none, none).relative == 0
    assert difference(none, some).relative == -1
    assert difference(some, none).relative == 1


@pytest.mark.parametrize(("ours", "theirs"), [([1], [1, 2]), ([], [])])
def test_other_files_cannot_be_compared(ours: list[int], theirs: list[int]) -> None:
    with pytest.raises(ValueError, match="both sides need the same files"):
        difference(np.array(ours, np.int64), np.array(theirs, np.int64))
