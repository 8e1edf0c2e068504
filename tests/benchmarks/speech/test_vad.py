"""Whether the voice-activity benchmark counts right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.speech.vad import FRAME_MS, annotated, audible, border_errors, joined, roc_auc, turns, utterances
from gateway.config import EndpointSettings, VadSettings

VAD, SETTINGS = VadSettings.model_validate({}), EndpointSettings.model_validate({})


def test_roc_auc() -> None:
    truth = np.array([True, True, False, False])
    assert roc_auc(truth, np.array([0.9, 0.8, 0.2, 0.1], np.float32)) == 1
    assert roc_auc(truth, np.array([0.1, 0.2, 0.8, 0.9], np.float32)) == 0
    assert roc_auc(truth, np.array([0.9, 0.1, 0.5, 0.0], np.float32)) == 0.75
    assert roc_auc(truth, np.full(4, 0.5, np.float32)) == 0.5


def test_joined() -> None:
    assert joined([(0, 10), (5, 20), (25, 30)], 0) == [(0, 20), (25, 30)]
    assert joined([(0, 10), (5, 20), (25, 30)], 5) == [(0, 30)]
    assert joined([(0, 40), (5, 20)], 0) == [(0, 40)]


def test_turns_and_frames_of_an_excerpt(tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    soundfile.write(path, np.zeros(8000, np.int16), 8000)
    (tmp_path / "some.rttm").write_text(
        "SPEAKER one 1 0.32 0.32 <NA> <NA> A <NA> <NA>\n"
        "SPEAKER other 1 0 1 <NA> <NA> A <NA> <NA>\n"
        "SPEAKER one 1 0.50 0.20 <NA> <NA> B <NA> <NA>\n"
    )
    assert turns(path) == [pytest.approx((320, 700))]
    speech = annotated(path)
    assert speech is not None
    # 320…700 ms; the frame 672…704 ms is mostly speech.
    assert np.flatnonzero(speech).tolist() == list(range(10, 22))
    assert annotated(tmp_path / "none.wav") is None


def test_border_errors() -> None:
    begins, ends = border_errors([(100, 500), (3000, 4000)], [(130, 450), (2990, 6000)], reach_ms=1000)
    assert begins == [30, -10]
    assert ends == [-50]  # 6000 is too far from 4000
    assert border_errors([(100, 500)], [], reach_ms=1000) == ([], [])


def test_audible_is_where_the_sound_is() -> None:
    pcm = np.random.default_rng(3).normal(0, 3, 16_000)
    pcm[4000:12_000] += np.random.default_rng(4).normal(0, 2000, 8000)
    first, last = audible(pcm.astype(np.int16))
    assert first == pytest.approx(500, abs=10)
    assert last == pytest.approx(1500, abs=10)


def test_utterances_are_those_of_the_endpointer() -> None:
    found = np.zeros(100, np.float32)
    found[20:40] = 0.9
    levels = np.where(found > 0, -20, -80).astype(np.float32)
    (one,) = utterances(found, levels, VAD, SETTINGS)
    assert (one.speech_start, one.speech_end, one.cut) == (20, 40, False)
    assert one.start == 20 - SETTINGS.pre_roll_ms // FRAME_MS
    assert one.seconds == pytest.approx(0.64)
