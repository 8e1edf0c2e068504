"""Speech is found by its level, beside the noise and beside the speaker."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.speech.energy import Run, levels, runs, speech_ends, thresholds
from tests.benchmarks.speech.test_labels import line


def test_runs_are_parted_by_200_ms() -> None:
    assert runs(line(4000, (500, 1000), (1190, 2000), (2200, 3000))) == (Run(500, 2000), Run(2200, 3000))


def test_the_tail_of_a_loud_voice_is_not_speech() -> None:
    """35 dB below the speaker, yet 30 dB above the noise: what a noise suppressor leaves behind."""
    pcm = line(3000, (500, 1000), level=0.3, noise=0.0)
    tail = line(3000, (1000, 2000), level=0.3 / 70, noise=0.0)
    assert speech_ends(pcm + tail) == (1000,)


def test_a_syllable_at_the_end_that_falls_by_20_db_is_speech() -> None:
    pcm = line(3000, (500, 1000), level=0.3, noise=0.0)
    assert speech_ends(pcm + line(3000, (1000, 1200), level=0.03, noise=0.0)) == (1200,)


def test_less_than_100_ms_is_a_click() -> None:
    assert speech_ends(line(3000, (500, 590), (1000, 1100))) == (1100,)


def test_thresholds_follow_the_louder_need() -> None:
    quiet_line, noisy_line = line(2000, (500, 1500), noise=0.0), line(2000, (500, 1500), noise=0.01)
    begin, on = thresholds(levels(quiet_line))
    assert begin - on == pytest.approx(10)
    assert thresholds(levels(noisy_line))[0] > begin


def test_levels_are_dbfs() -> None:
    full = np.full(160, -32768, np.int16)
    assert levels(full).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert levels(np.zeros(80, np.int16)).tolist() == pytest.approx([-120])
    assert len(levels(np.zeros(79, np.int16))) == 0
