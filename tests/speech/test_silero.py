"""The voice-activity model: batches, slots, and what it hears."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
from numpy.typing import NDArray

from gateway._native import mulaw
from gateway.errors import InternalError, ModelError
from gateway.speech.silero import FRAME, Silero

ROOT = Path(__file__).parents[2]
MODEL = Path(os.environ.get("GATEWAY_MODELS_DIR", ROOT / "models" / "cache")) / "silero-vad" / "silero_vad.onnx"
CALL = ROOT / "samples" / "support-call.wav"
THRESHOLD = 0.42

needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="run `gateway models fetch silero-vad`")


@pytest.fixture(scope="module")
def model() -> Silero:
    return Silero(MODEL)


def sounds(tracks: int, frames: int) -> NDArray[np.int16]:
    """Loud buzzes of different pitch, which the model finds speech-like to different degrees."""
    time = np.arange(frames * FRAME) / 8000
    pitch = 90 + 25 * np.arange(tracks)[:, None]
    wave = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    noise = np.random.default_rng(7).normal(0, 0.2, (tracks, frames * FRAME))
    return ((wave + noise) * 4000).astype(np.int16).reshape(tracks, frames, FRAME)


def one_by_one(model: Silero, frames: NDArray[np.int16]) -> NDArray[np.float32]:
    slot = model.acquire()
    try:
        return np.concatenate([model.judge(np.array([slot]), frame[None]) for frame in frames])
    finally:
        model.release(slot)


@needs_model
@pytest.mark.slow
def test_a_batch_is_as_one_by_one(model: Silero) -> None:
    audio = sounds(tracks=9, frames=12)
    alone = np.stack([one_by_one(model, track) for track in audio])
    slots = np.array([model.acquire() for _ in audio])
    together = np.stack([model.judge(slots, audio[:, frame]) for frame in range(12)], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.ptp(alone) > 0.05  # the sounds tell rows apart
    for slot in slots.tolist():
        model.release(slot)


@needs_model
@pytest.mark.slow
def test_order_and_company_do_not_matter(model: Silero) -> None:
    """Each track in another batch each time, in another place."""
    audio = sounds(tracks=5, frames=10)
    alone = np.stack([one_by_one(model, track) for track in audio])
    slots = np.array([model.acquire() for _ in audio])
    chance = np.random.default_rng(3)
    heard = np.zeros(5, np.int64)
    while heard.min() < 10:
        ready = chance.permutation(np.flatnonzero(heard < 10))[: chance.integers(1, 6)]
        got = model.judge(slots[ready], audio[ready, heard[ready]])
        np.testing.assert_allclose(got, alone[ready, heard[ready]], atol=1e-4)
        heard[ready] += 1
    for slot in slots.tolist():
        model.release(slot)


@needs_model
@pytest.mark.slow
def test_reset_and_reuse_forget(model: Silero) -> None:
    track = sounds(tracks=1, frames=8)[0]
    fresh = one_by_one(model, track)
    slot = model.acquire()
    for frame in track[::-1]:
        model.judge(np.array([slot]), frame[None])
    model.reset(slot)
    again = np.concatenate([model.judge(np.array([slot]), frame[None]) for frame in track])
    np.testing.assert_allclose(again, fresh, atol=1e-5)
    model.release(slot)
    assert model.acquire() == slot
    np.testing.assert_allclose(model.judge(np.array([slot]), track[:1]), fresh[:1], atol=1e-5)
    model.release(slot)


@needs_model
@pytest.mark.slow
def test_slots_grow_and_keep_what_they_heard() -> None:
    model = Silero(MODEL)
    audio = sounds(tracks=1, frames=6)[0]
    alone = one_by_one(Silero(MODEL), audio)
    first = model.acquire()
    got = [model.judge(np.array([first]), frame[None]) for frame in audio[:3]]
    others = [model.acquire() for _ in range(model.capacity)]
    assert len({first, *others}) == model.used == 1 + len(others)
    assert model.capacity == 2 * len(others)
    slots = np.array([*others, first])
    for frame in audio[3:]:
        got.append(model.judge(slots, np.repeat(frame[None], len(slots), axis=0))[-1:])
    np.testing.assert_allclose(np.concatenate(got), alone, atol=1e-4)


@needs_model
@pytest.mark.slow
def test_a_slot_released_during_a_run_is_not_reused_in_it() -> None:
    model = Silero(MODEL)
    slot = model.acquire()
    session, inside, go_on = model._session, threading.Event(), threading.Event()

    class Held:
        """The real session, held at the door."""

        def run(self, *arguments: object) -> object:
            inside.set()
            assert go_on.wait(30)
            return session.run(*arguments)

    model._session = Held()
    worker = threading.Thread(target=model.judge, args=(np.array([slot]), np.zeros((1, FRAME), np.int16)))
    worker.start()
    try:
        assert inside.wait(30)
        model.release(slot)
        assert model.acquire() != slot
        with pytest.raises(InternalError, match="under way"):
            model.judge(np.array([slot]), np.zeros((1, FRAME), np.int16))
    finally:
        go_on.set()
        worker.join()
    assert model.acquire() == slot


@needs_model
@pytest.mark.slow
def test_wrong_batches_are_refused(model: Silero) -> None:
    one = np.zeros((1, FRAME), np.int16)
    with pytest.raises(ValueError, match="once"):
        model.judge(np.array([0, 0]), np.zeros((2, FRAME), np.int16))
    with pytest.raises(ValueError, match="lie in"):
        model.judge(np.array([model.capacity]), one)
    with pytest.raises(ValueError, match="lie in"):
        model.judge(np.array([-1]), one)
    with pytest.raises(ValueError, match="slots must be int64"):
        model.judge(np.array([0.0]), one)
    with pytest.raises(ValueError, match="frames must be int16"):
        model.judge(np.array([0]), one[:, :-1])
    with pytest.raises(ValueError, match="frames must be int16"):
        model.judge(np.array([0]), one.astype(np.float32))
    assert model.judge(np.empty(0, np.int64), np.empty((0, FRAME), np.int16)).shape == (0,)
    with pytest.raises(InternalError, match="not acquired"):
        model.release(model.capacity - 1)
    with pytest.raises(InternalError, match="not acquired"):
        model.reset(model.capacity - 1)


@pytest.fixture(scope="module")
def plain() -> Silero:
    """Without what is put in front of the model."""
    return Silero(MODEL, conditioned=False)


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float64]:
    """20 s of the sample's agent, whose loud frames are at about −16 dBFS."""
    pcm, rate = soundfile.read(CALL, dtype="int16", frames=160_000)
    assert rate == 8000
    return np.asarray(pcm[:, 1], np.float64)


def telephoned(signal: NDArray[np.float64]) -> NDArray[np.int16]:
    """Frames of a signal on the scale of 16 bits, through μ-law."""
    pcm = mulaw.decode(mulaw.encode(np.clip(np.rint(signal), -32768, 32767).astype(np.int16)))
    return pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)


def found(model: Silero, signal: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames the model takes for speech."""
    return np.asarray(one_by_one(model, telephoned(signal)) > THRESHOLD)


def shipped(frames: NDArray[np.int16]) -> NDArray[np.float32]:
    """What the shipped model says, run as its authors do: one track, 32 samples of context, the state handed on."""
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(32, np.float32)
    probabilities = []
    for frame in frames.astype(np.float32) / 32768:
        feed = {"input": np.concatenate([context, frame])[None], "state": state, "sr": np.array(8000)}
        probability, state = session.run(("output", "stateN"), feed)
        probabilities.append(probability[0, 0])
        context = frame[-32:]
    return np.array(probabilities, np.float32)


@needs_model
@pytest.mark.slow
def test_unconditioned_it_is_the_shipped_model(plain: Silero, speech: NDArray[np.float64]) -> None:
    frames = telephoned(speech)
    theirs = shipped(frames)
    np.testing.assert_allclose(one_by_one(plain, frames), theirs, atol=1e-4)
    assert theirs.min() < 0.01
    assert theirs.max() > 0.99


@needs_model
@pytest.mark.slow
def test_on_a_good_line_conditioning_changes_little(model: Silero, plain: Silero, speech: NDArray[np.float64]) -> None:
    assert np.mean(found(model, speech) == found(plain, speech)) > 0.97


Line = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
LINES: dict[str, Line] = {
    "offset": lambda signal, _: signal + 3000,
    "drift": lambda signal, seconds: signal + 3000 * np.sin(2 * np.pi * seconds),
    "very quiet": lambda signal, _: signal * 10 ** (-40 / 20),
    "very quiet with an offset": lambda signal, _: signal * 10 ** (-34 / 20) + 600,
    "quiet in hum": lambda signal, seconds: signal * 10 ** (-29 / 20) + 820 * np.sin(2 * np.pi * 60 * seconds),
    "comfort noise": lambda signal, seconds: signal + np.random.default_rng(5).normal(0, 100, len(seconds)),
    "a sudden drop": lambda signal, seconds: signal * np.where(seconds < 10, 1, 10 ** (-25 / 20)),
    "clipped": lambda signal, _: np.clip(signal, -4000, 4000) * 8,
}


@needs_model
@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_speech_is_found_on_a_bad_line(model: Silero, plain: Silero, speech: NDArray[np.float64], line: str) -> None:
    """Held against what the model finds in the same speech on a good line."""
    clean = found(plain, speech)
    heard = found(model, LINES[line](speech, np.arange(len(speech)) / 8000))
    assert np.mean(heard[clean]) > 0.88
    assert np.mean(heard[~clean]) < 0.05


@needs_model
@pytest.mark.slow
def test_an_offset_is_not_there(model: Silero, plain: Silero, speech: NDArray[np.float64]) -> None:
    """Constant or drifting, without μ-law, whose steps an offset makes coarser: the same probabilities."""
    frames = (speech / 8).astype(np.int16)[: len(speech) // FRAME * FRAME].reshape(-1, FRAME)
    drift = np.rint(2000 + 1500 * np.sin(np.pi * np.arange(frames.size) / 8000)).astype(np.int16).reshape(-1, FRAME)
    apart = [np.abs(one_by_one(one, frames + drift) - one_by_one(one, frames)) for one in (model, plain)]
    # The first frames hear the offset begin.
    assert apart[0][10:].mean() < 0.005 < 0.02 < apart[1][10:].mean()


@needs_model
@pytest.mark.slow
def test_hiss_and_silence_are_no_speech(model: Silero) -> None:
    hiss = np.random.default_rng(1).normal(0, 1, 8000 * 5)
    for amplitude in (0, 8, 30, 300, 3000):
        assert one_by_one(model, telephoned(hiss * amplitude))[5:].max() < 0.3


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gateway models fetch"):
        Silero(tmp_path / "silero_vad.onnx")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(b"no model" * 100)
    with pytest.raises(ModelError, match="not a model"):
        Silero(path)
