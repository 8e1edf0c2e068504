"""Ten minutes of every kind of telephone audio in which nobody speaks, through the offline path: not a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.audio.nothing import KINDS, Kind, play
from benchmarks.bench_nothing import hear
from gateway.config import load
from gateway.speech.moonshine import Moonshine
from gateway.speech.silero import Silero

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models" / "cache"
SAMPLE = ROOT / "samples" / "support-call.wav"
MINUTES = 10
VOICE = {"throat": 12}
"""Words that may come of it. A throat cleared aloud is a voice that says nothing: in its loudest stretches nothing that
was measured tells it from words on a bad line, and those must be heard."""


@pytest.fixture(scope="module")
def voice() -> Silero:
    return Silero(MODELS / "silero-vad" / "silero_vad.onnx")


@pytest.fixture(scope="module")
def engine() -> Moonshine:
    return Moonshine(MODELS / "moonshine-tiny-en")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_nothing_comes_of(kind: Kind, voice: Silero, engine: Moonshine) -> None:
    pcm = play(kind, 60 * MINUTES)
    heard = hear(kind.name, pcm, voice, engine, load())
    # What was played was heard: all but long silence is judged.
    assert heard.judged >= 0.25 * len(pcm) / 256 or kind.name == "silence"
    assert heard.words <= VOICE.get(kind.name, 0), heard.texts


@pytest.mark.slow
def test_speech_behind_nothing_is_heard(voice: Silero, engine: Moonshine) -> None:
    """That nothing comes of nothing is worth nothing if nothing comes of speech either."""
    call, _ = soundfile.read(SAMPLE, dtype="int16")
    speech = np.ascontiguousarray(call[:, 0])
    alone = hear("call", speech, voice, engine, load())
    ringing = play(next(kind for kind in KINDS if kind.name == "ringback"), 20)
    behind = hear("ringback and call", np.concatenate([ringing, speech]), voice, engine, load())
    assert alone.words > 50
    assert behind.words == pytest.approx(alone.words, abs=2)
