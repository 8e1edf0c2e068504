"""The voice-activity model: batches, slots, and what it hears."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from gateway.errors import InternalError, ModelError
from gateway.speech.silero import FRAME, Silero

ROOT = Path(__file__).parents[2]
MODEL = Path(os.environ.get("GATEWAY_MODELS_DIR", ROOT / "models" / "cache")) / "silero-vad" / "silero_vad.onnx"
SPEECH = ROOT.parent / "shared" / "speech"

needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="run `gateway models fetch silero-vad`")
needs_speech = pytest.mark.skipif(not SPEECH.is_dir(), reason="the speech for measuring is not beside the project")


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


@needs_model
@needs_speech
@pytest.mark.slow
def test_speech_is_told_from_silence(model: Silero) -> None:
    pcm, rate = soundfile.read(SPEECH / "utterances" / "jfk.wav", dtype="int16")
    assert rate == 8000
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)
    assert np.mean(one_by_one(model, frames) > 0.42) > 0.5
    hiss = np.random.default_rng(1).normal(0, 30, (100, FRAME)).astype(np.int16)
    assert one_by_one(model, hiss)[5:].max() < 0.3


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gateway models fetch"):
        Silero(tmp_path / "silero_vad.onnx")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(b"no model" * 100)
    with pytest.raises(ModelError, match="not a model"):
        Silero(path)
