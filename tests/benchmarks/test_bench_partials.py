"""Whether the figures about partials are those of what was played."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bench_partials import Follow, Told, play, summary
from gateway.config import load
from gateway.speech.partials import COST
from gateway.speech.track import FRAME_MS
from tests.speech.test_stage import Counting, Loudness, quiet, tone


@pytest.mark.parametrize("windows", [False, True])
def test_an_utterance_is_followed_from_its_beginning_to_its_end(windows: bool) -> None:
    engine = Counting()
    pcm = np.concatenate([quiet(500), tone(3000), quiet(300), tone(1200), quiet(1000), tone(400), quiet(1000)])
    follow = play(pcm, Loudness(), engine, load(), windows=windows)
    long, short = follow.told
    assert int(long.final) == pytest.approx(42, abs=1)
    assert short.final == "4"
    assert long.at_ms[0] == pytest.approx(800, abs=FRAME_MS)
    # The last reading is that of the pause before the end: pre-roll and all that was spoken.
    assert long.at_ms[-1] == pytest.approx(128 + 4500, abs=2 * FRAME_MS)
    assert long.at_ms == sorted(long.at_ms)
    assert 0 < long.decoded_ms <= COST * long.at_ms[-1]
    # Too short for a decode of its own.
    assert short.decoded_ms == 0
    assert len(short.at_ms) == 1


def test_figures() -> None:
    follow = Follow.__new__(Follow)
    follow.told = [
        Told("One two three.", 2000, 3000, [800, 1400, 2000], 3, ["one", "too"]),
        Told("Yes.", 500, 0, [], 0, []),
    ]
    follow.seconds = 0.05
    figures = summary([follow])
    assert figures["utterances"] == 2
    assert figures["decoded"] == 1.2
    assert figures["decoded_most"] == 1.5
    assert figures["cpu_ms_a_second"] == 20.0
    assert figures["first_p50_ms"] == 800
    assert figures["gap_most_ms"] == 600
    assert figures["lag_words"] == 1.0
    assert figures["wrong_percent"] == 50.0
