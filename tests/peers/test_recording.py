"""Sound files become the tracks of a call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.errors import UsageError
from gateway.participants import Track
from gateway.peers import recording


def wav(folder: Path, samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]], rate: int = 8000) -> Path:
    path = folder / "a.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def test_left_is_inbound_and_right_outbound_bit_for_bit(tmp_path: Path) -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32767, (800, 2)).astype(np.int16)
    loaded = recording.load(wav(tmp_path, pcm))
    assert list(loaded.tracks) == [Track.INBOUND, Track.OUTBOUND]
    np.testing.assert_array_equal(loaded.tracks[Track.INBOUND], pcm[:, 0])
    np.testing.assert_array_equal(loaded.tracks[Track.OUTBOUND], pcm[:, 1])
    assert loaded.duration_ms == 100


def test_one_channel_is_inbound(tmp_path: Path) -> None:
    loaded = recording.load(wav(tmp_path, np.arange(160, dtype=np.int16)))
    assert list(loaded.tracks) == [Track.INBOUND]


def test_other_rates_are_resampled(tmp_path: Path) -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 / 16_000 * np.arange(16_000))).astype(np.int16)
    pcm = recording.load(wav(tmp_path, tone, 16_000)).tracks[Track.INBOUND]
    assert len(pcm) == 8000
    want = 8000 * np.sin(2 * np.pi * 440 / 8000 * np.arange(8000))
    np.testing.assert_allclose(pcm[200:-200], want[200:-200], atol=20)


def test_what_cannot_be_a_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        recording.load(tmp_path / "none.wav")
    with pytest.raises(UsageError, match="3 channels; a call has one"):
        recording.load(wav(tmp_path, np.zeros((8, 3), np.int16)))
    with pytest.raises(UsageError, match="holds no audio"):
        recording.load(wav(tmp_path, np.zeros(0, np.int16)))
    text = tmp_path / "text.wav"
    text.write_text("hello")
    with pytest.raises(UsageError, match="no sound file that can be read"):
        recording.load(text)
