"""Interim texts: when they are due, what they cost, and which part of them is sure."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from gateway.speech.partials import COST, FIRST_MS, PERIOD_MS, Agreement, Interim


def shown(*hypotheses: str) -> list[tuple[str, str]]:
    """What is sure and what is not, after each hypothesis."""
    agreement = Agreement()
    found = []
    for hypothesis in hypotheses:
        text, stable = agreement.update(hypothesis)
        found.append((text[:stable], text[stable:]))
    return found


def test_what_two_hypotheses_agree_on_is_sure() -> None:
    assert shown("I would", "I would like", "I would like to bay", "I would like to pay a bill.") == [
        ("", "I would"),
        ("I would", " like"),
        ("I would like", " to bay"),
        ("I would like to", " pay a bill."),
    ]


def test_case_and_punctuation_are_no_disagreement_and_the_later_ones_are_taken() -> None:
    assert shown("Hello.", "Hello my name is Ann.", "hello, my name is Ann Lee.") == [
        ("", "Hello."),
        ("Hello", " my name is Ann."),
        # The comma comes behind what was agreed on as it stands, so that it may still change.
        ("Hello, my name is Ann", " Lee."),
    ]


def test_what_is_sure_stays_when_a_later_hypothesis_says_otherwise() -> None:
    assert shown("the red car", "the red car is", "the bread car is gone", "the red car is gone now")[2:] == [
        ("the red car is", " gone"),
        ("the red car is gone", " now"),
    ]


def test_a_word_more_or_less_in_what_is_sure_moves_the_rest() -> None:
    assert shown("so I called you", "so I called you", "I called you back", "and so I called you back twice")[2:] == [
        ("so I called you", " back"),
        ("so I called you back", " twice"),
    ]


def test_a_shorter_or_an_empty_hypothesis_takes_nothing_sure_back() -> None:
    assert shown(
        "one moment", "one moment please", "", "One moment please. Thanks.", "One moment please. Thanks you."
    ) == [
        ("", "one moment"),
        ("one moment", " please"),
        ("one moment", ""),
        ("one moment", " please. Thanks."),
        ("one moment please. Thanks", " you."),
    ]


def test_a_hypothesis_that_shares_no_word_comes_behind_what_is_sure() -> None:
    assert shown("yes", "yes", "")[2] == ("yes", "")
    assert shown("", "", "- …", "hello")[2:] == [("", "- …"), ("", "hello")]


@pytest.mark.parametrize("seed", range(20))
def test_the_sure_prefix_only_grows(seed: int) -> None:
    chance = random.Random(seed)
    said = [chance.choice(["a", "bee", "sea,", "Dee.", "e-mail", "don't", "42", "-"]) for _ in range(40)]
    agreement, before = Agreement(), ""
    for upto in range(2, 41, 2):
        heard = [chance.choice(["x", "y", word]) if chance.random() < 0.2 else word for word in said[:upto]]
        text, stable = agreement.update(" ".join(heard))
        assert text[:stable].startswith(before)
        before = text[:stable]
    assert before


def lengths(step_ms: int = 32, upto_ms: int = 20_000) -> list[int]:
    """The lengths at which an utterance is decoded that is spoken without a pause."""
    interim, found = Interim(), []
    for length in range(step_ms, upto_ms, step_ms):
        if interim.due(0, length):
            interim.begun(length)
            interim.answered(0, f"{length}")
            found.append(length)
    return found


def test_decodes_come_soon_then_by_the_period_then_ever_less_often() -> None:
    found = lengths()
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert FIRST_MS <= found[0] < FIRST_MS + 32
    assert PERIOD_MS <= gaps[0] < PERIOD_MS + 32
    assert gaps[-1] > 2 * gaps[0]


@pytest.mark.parametrize("upto_ms", [1000, 3000, 8000, 20_000, 60_000])
def test_all_decodes_of_an_utterance_cost_at_most_the_bound(upto_ms: int) -> None:
    found = lengths(upto_ms=upto_ms)
    assert found
    spent = 0
    for length in found:
        spent += length
        assert spent <= COST * length


def test_one_decode_at_a_time() -> None:
    interim = Interim()
    assert interim.due(0, 1000)
    interim.begun(1000)
    assert not interim.due(0, 5000)
    interim.failed(0)
    assert interim.due(0, 5000)


def test_silence_is_not_decoded_again_and_a_busy_recognizer_is_asked_again_a_period_later() -> None:
    interim = Interim()
    assert interim.due(0, 1000)
    interim.postponed(1000)
    assert not interim.due(0, 1000)
    assert not interim.due(0, 1000 + PERIOD_MS - 1)
    assert interim.due(0, 1000 + PERIOD_MS)


def test_texts_are_numbered_in_each_utterance_and_only_news_are_told() -> None:
    interim = Interim()
    told = []
    for start, text in ((0, "one"), (0, "one"), (0, "one"), (0, "one two"), (9000, "three")):
        interim.due(start, 100_000)
        interim.begun(1000)
        partial = interim.answered(start, text)
        told.append(None if partial is None else (partial.start, partial.text, partial.stable, partial.revision))
    # The second says nothing new but that the text is sure.
    assert told == [(0, "one", 0, 1), (0, "one", 3, 2), None, (0, "one two", 3, 3), (9000, "three", 0, 1)]


def test_an_answer_for_another_utterance_or_for_less_audio_is_ignored() -> None:
    interim = Interim()
    assert interim.due(0, 1000)
    interim.begun(1000)
    paused = interim.paused(0, 1200, "a pause")
    assert paused is not None
    assert paused.text == "a pause"
    assert interim.answered(0, "older") is None
    assert interim.due(0, 2000)
    interim.begun(2000)
    assert not interim.due(5000, 100)
    assert interim.answered(0, "gone") is None
    assert interim.paused(5000, 900, "short") is not None
    assert not interim.due(5000, 900)


def test_a_pause_costs_nothing() -> None:
    interim = Interim()
    for length in range(500, 20_000, 500):
        interim.due(0, length)
        interim.paused(0, length, "text")
    interim.postponed(19_000)
    assert interim.due(0, 20_000)
