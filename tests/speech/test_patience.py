"""How many frames of silence end an utterance."""

from typing import Any

import pytest

from gateway.config import EndpointSettings
from gateway.speech.patience import Patience
from gateway.speech.sentence import Verdict

PATIENCE = Patience(pause=5, complete=9, usual=16, incomplete=39, long=375)


def waits(length: int, tail: int = 0) -> list[int]:
    return [PATIENCE.frames(verdict, length, tail) for verdict in (Verdict.COMPLETE, Verdict.OPEN, Verdict.INCOMPLETE)]


def test_the_text_says_how_long() -> None:
    assert waits(100) == [9, 16, 39]


def test_a_long_utterance_ends_sooner_but_not_before_its_text_is_there() -> None:
    assert waits(375) == [6, 8, 19]
    assert waits(563) == [5, 5, 13]


def test_silence_is_measured_by_ear() -> None:
    assert waits(100, tail=2) == [7, 14, 37]
    assert waits(100, tail=6) == [6, 10, 33]
    assert waits(375, tail=4) == [6, 6, 17]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Patience(4, 10, 15, 39, 468)),
        ({"silence_ms": 224}, Patience(4, 7, 7, 39, 468)),
        ({"silence_ms": 96, "complete_ms": 500}, Patience(2, 3, 3, 39, 468)),
        ({"silence_ms": 1600}, Patience(4, 10, 50, 50, 468)),
        ({"pause_ms": 2000, "long_ms": 1000}, Patience(14, 10, 15, 39, 31)),
    ],
)
def test_settings_that_are_out_of_order_give_way_to_the_silence(settings: dict[str, Any], expected: Patience) -> None:
    made = Patience.of(EndpointSettings.model_validate(settings))
    assert made == expected
    for length in (0, 500, 900):
        assert 1 <= made.frames(Verdict.OPEN, length) <= made.usual
        assert made.frames(Verdict.COMPLETE, length, 6) >= 1
