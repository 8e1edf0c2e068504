"""What is remembered of open utterances, and for how long."""

from __future__ import annotations

import numpy as np

from gateway.speech.drafts import Drafts
from gateway.speech.engine import Pcm


def speech(seed: int, samples: int = 8000) -> Pcm:
    return np.random.default_rng(seed).integers(-1000, 1000, samples, np.int16)


def test_an_utterance_is_known_again_when_it_has_grown() -> None:
    drafts = Drafts()
    grown = speech(0, 16_000)
    assert drafts.of(grown[:6000]) == ()
    drafts.keep(grown[:6000], [5, 6])
    drafts.keep(speech(1), [7])
    assert drafts.of(grown) == (5, 6)
    drafts.keep(grown, [5, 6, 8])
    assert drafts.of(grown) == (5, 6, 8)
    assert drafts.of(speech(2)) == ()


def test_what_is_over_is_forgotten() -> None:
    drafts = Drafts()
    drafts.keep(speech(0), [5])
    drafts.drop(speech(0, 9000))
    drafts.drop(speech(1))
    drafts.drop(speech(2, 100))
    assert drafts.of(speech(0)) == ()
    assert len(drafts) == 0


def test_what_is_short_or_silent_is_not_known() -> None:
    drafts = Drafts()
    for pcm in (speech(0, 3999), np.zeros(8000, np.int16), np.zeros(0, np.int16)):
        drafts.keep(pcm, [5, 6])
        assert drafts.of(pcm) == ()
    assert len(drafts) == 0


def test_the_longest_unused_goes_first() -> None:
    drafts = Drafts(most=2)
    for seed in (0, 1, 0, 2):
        drafts.keep(speech(seed), [seed])
    assert [drafts.of(speech(seed)) for seed in range(3)] == [(0,), (), (2,)]


def test_nothing_is_held_for_longer_than_an_utterance_lasts() -> None:
    now = 100.0
    drafts = Drafts(clock=lambda: now)
    drafts.keep(speech(0), [5])
    now += 59
    drafts.keep(speech(1), [6])
    assert drafts.of(speech(0)) == (5,)
    now += 2
    assert drafts.of(speech(1)) == (6,)
    assert len(drafts) == 1
