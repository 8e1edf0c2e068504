"""What is believed and what is not, by evidence; the real models on audio without speech are in test_nothing."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway import metrics
from gateway._native import mulaw, track
from gateway.clock import monotonic_ms
from gateway.config import EndpointSettings, VadSettings
from gateway.recordings.offline import listen
from gateway.speech.engine import Hypothesis
from gateway.speech.guards import Reason, SpeechEvidence, guard, judge
from gateway.speech.recognizer import Recognizer
from gateway.speech.stage import SpeechStage
from tests.speech.test_stage import Counting, Listener, Loudness, quiet, tone, until

SURE = SpeechEvidence(frames=12, mean=0.95, prominence_db=40.0)
"""A word on a clean line."""
FAIR = SpeechEvidence(frames=9, mean=0.7, prominence_db=20.0)
FAINT = SpeechEvidence(frames=2, mean=0.45, prominence_db=20.0)
"""A word at the end of its breath, or a cough."""
STEADY = SpeechEvidence(frames=30, mean=0.7, prominence_db=2.0)
"""Noise that the model takes for speech."""


def said(text: str, length: int = 2, confidence: float = 0.9) -> Hypothesis:
    """What a recognizer made of something."""
    return Hypothesis(text, final=True, confidence=confidence, length=length)


@pytest.mark.parametrize("text", ["Thank you.", "Thanks.", "Yes.", "You?", "You.", "Uh-huh.", "No", "Four.", "Oh."])
@pytest.mark.parametrize("speech", [SURE, FAIR, None])
def test_a_word_that_was_said_is_heard(text: str, speech: SpeechEvidence | None) -> None:
    assert judge(said(text), 400, speech) is None


@pytest.mark.parametrize("text", ["Yes.", "No.", "Four.", "Okay.", "Right?"])
def test_a_faint_word_is_heard_too(text: str) -> None:
    assert judge(said(text, confidence=0.08), 64, FAINT) is None


@pytest.mark.parametrize(
    ("text", "speech", "reason"),
    [
        ("You", FAIR, Reason.NOTHING),
        ("You", FAINT, Reason.NOTHING),
        ("Thank you for watching!", FAIR, Reason.NOTHING),
        ("♪ She, she ♪", FAIR, Reason.NOTHING),
        ("Thank you.", FAINT, Reason.NOTHING),
        ("Uh?", FAINT, Reason.HESITATION),
        ("Mm-hmm,", FAINT, Reason.HESITATION),
        ("I am here.", STEADY, Reason.STEADY),
        ("You", SURE, None),
        ("Thank you for watching!", SURE, None),
        ("Uh?", FAIR, None),
        ("I am here.", SpeechEvidence(frames=30, mean=0.9, prominence_db=2.0), None),
    ],
)
def test_a_suspect_text_needs_evidence(text: str, speech: SpeechEvidence, reason: Reason | None) -> None:
    assert judge(said(text), 300, speech) is reason


@pytest.mark.parametrize(("duration_ms", "reason"), [(128, Reason.HESITATION), (160, None)])
def test_two_syllables_take_time(duration_ms: int, reason: Reason | None) -> None:
    assert judge(said("Uh-huh."), duration_ms, FAIR) is reason
    assert judge(said("Yes."), duration_ms, FAIR) is None


@pytest.mark.parametrize(
    ("length", "duration_ms", "reason"),
    [(2, 3000, Reason.SLOW), (3, 3000, None), (1, 2900, None), (7, 12_000, Reason.SLOW), (0, 12_000, None)],
)
def test_a_word_for_a_long_sound_is_none(length: int, duration_ms: int, reason: Reason | None) -> None:
    assert judge(said("Okay.", length), duration_ms, SURE) is reason


@pytest.mark.parametrize(
    ("text", "duration_ms", "reason"),
    [
        ("no, no, no, no.", 900, None),
        ("It is zero zero zero zero zero zero.", 2000, None),
        ("go home " * 12, 1000, Reason.REPETITION),
        ("go home " * 12, 6000, None),
        ("one two three four five six seven eight nine ten eleven twelve", 500, None),
    ],
)
def test_what_goes_round_faster_than_speech_is_none(text: str, duration_ms: int, reason: Reason | None) -> None:
    assert judge(said(text, 24), duration_ms, SURE) is reason


@pytest.mark.parametrize(
    ("length", "confidence", "reason"), [(3, 0.19, Reason.CONFIDENCE), (3, 0.2, None), (2, 0.1, None)]
)
def test_only_a_longer_text_is_judged_by_confidence(length: int, confidence: float, reason: Reason | None) -> None:
    assert judge(said("What is said here.", length, confidence), 1000, SURE) is reason


@given(st.text(max_size=40), st.integers(0, 30_000), st.integers(0, 60))
def test_guards_take_any_text(text: str, duration_ms: int, length: int) -> None:
    if judge(said(text, length), duration_ms, STEADY) is not None:
        assert text.strip()
    assert judge(Hypothesis("", final=True), duration_ms, STEADY) is None


def test_what_is_suppressed_is_counted_and_empty() -> None:
    counted = metrics.ASR_SUPPRESSED.labels(Reason.STEADY)
    before = counted._value.get()
    kept = said("Good morning.")
    assert guard(kept, 1000, SURE) is kept
    assert guard(kept, 1000, STEADY) == Hypothesis("", final=True)
    assert counted._value.get() == before + 1


def test_evidence_is_what_stands_out() -> None:
    probabilities = [0.1, 0.3, 0.5, 0.9, 0.41]
    evidence = SpeechEvidence.of(probabilities, [-60.0, -60.0, -30.0, -20.0, -60.0], 0.42)
    assert evidence.frames == 2
    assert (evidence.mean, evidence.prominence_db) == pytest.approx((0.7, 40.0))
    noise = np.random.default_rng(0).normal(-50, 1, 40)
    assert SpeechEvidence.of([0.6] * 40, noise.tolist(), 0.42).prominence_db < 5
    assert SpeechEvidence.of([], [], 0.42) == SpeechEvidence(0, 0.0, 0.0)
    assert SpeechEvidence.of([0.2], [-96.0], 0.42) == SpeechEvidence(0, 0.0, 0.0)


class Doubtful(Loudness):
    """A voice activity model that is not sure of anything."""

    def judge(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        return super().judge(slots, frames) * np.float32(0.7)


@pytest.mark.parametrize(("voice", "heard"), [(Doubtful(), [""]), (Loudness(), ["You"])])
async def test_a_live_call_and_a_recording_ask_the_same_guards(voice: Loudness, heard: list[str]) -> None:
    engine = Counting()
    engine.says = "You"
    vad, endpoint = VadSettings.model_validate({}), EndpointSettings.model_validate({})
    pcm = np.concatenate([quiet(320), tone(640), quiet(1600)])
    read = [found.hypothesis for found in listen(pcm, voice, engine, vad, endpoint)]
    assert [one.text for one in read if one is not None] == heard

    recognizer = Recognizer(engine, threads=1, max_batch=4, queue=16, loop=asyncio.get_running_loop())
    stage = SpeechStage(voice, engine, recognizer, vad, endpoint)
    recognizer.start()
    stage.start()
    media, listener = track.Track(), Listener()
    media.open_gate()
    line = stage.open(media, listener)
    media.place(0, mulaw.encode(pcm), monotonic_ms())
    await asyncio.wait_for(stage.finish(line), 20)
    await until(lambda: listener.texts == heard)
    await stage.close()
    await recognizer.close()
