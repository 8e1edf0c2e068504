"""Sound files become the tracks of a call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.errors import UsageError
from gateway.participants import Track
from gateway.peers import recording
from gateway.speech.engine import Pcm


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


FORMS = [
    ("WAV", "PCM_U8", "wav", 160),
    ("WAV", "PCM_24", "wav", 1),
    ("WAV", "PCM_32", "wav", 1),
    ("WAV", "FLOAT", "wav", 1),
    ("WAV", "ULAW", "wav", 400),
    ("WAV", "ALAW", "wav", 400),
    ("WAVEX", "PCM_16", "wav", 1),
    ("AIFF", "PCM_16", "aiff", 1),
    ("AU", "ULAW", "au", 400),
    ("FLAC", "PCM_16", "flac", 1),
    ("OGG", "VORBIS", "ogg", 600),
    ("OGG", "OPUS", "opus", 600),
    ("MP3", "MPEG_LAYER_III", "mp3", 2000),
    ("RAW", "ULAW", "ulaw", 400),
    ("RAW", "ALAW", "al", 400),
]


def tones(seconds: float, rate: int = 8000, channels: int = 2) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Quarter-loud sines, another pitch on each channel."""
    at = np.arange(round(seconds * rate)) / rate
    return 0.25 * np.stack([np.sin(2 * np.pi * (300 + 400 * one) * at) for one in range(channels)], axis=1)


@pytest.mark.parametrize(("form", "subtype", "suffix", "within"), FORMS)
def test_forms_that_customers_have(form: str, subtype: str, suffix: str, within: int, tmp_path: Path) -> None:
    samples = tones(2.5, channels=1 if form == "RAW" else 2)
    path = tmp_path / f"call.{suffix}"
    soundfile.write(path, samples, 8000, format=form, subtype=subtype)
    assert path.suffix in recording.SUFFIXES
    loaded = recording.load(path)
    assert loaded.duration_ms == pytest.approx(2500, abs=1)
    assert len(loaded.tracks) == samples.shape[1]
    for index, pcm in enumerate(loaded.tracks.values()):
        # Lossy codecs need a moment at both ends; they keep the pitch and the level.
        want = samples[4000:16_000, index] * 32768
        assert np.sqrt(np.mean((pcm[4000:16_000] - want) ** 2)) <= within


def test_a_track_is_read_piece_by_piece(tmp_path: Path) -> None:
    samples = tones(5.3, 44_100)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 44_100)
    source = recording.probe(path)
    assert (source.channels, source.tracks) == (2, (Track.INBOUND, Track.OUTBOUND))
    assert source.seconds == pytest.approx(5.3)
    pieces: list[Pcm] = list(source.read(Track.OUTBOUND))
    assert len(pieces) > 4
    assert max(map(len, pieces)) < 2 * recording.RATE
    pcm = np.concatenate(pieces)
    assert len(pcm) == pytest.approx(5.3 * 8000, abs=1)
    want = tones(5.3)[:, 1] * 32768
    # The seams of the pieces are not heard.
    np.testing.assert_allclose(pcm[200:-200], want[200 : len(pcm) - 200], atol=4)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_a_file_that_is_cut_off_is_told(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(1).normal(0, 0.1, (160_000, 2))
    soundfile.write(path, noise, 8000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match=r"is cut off or damaged|is damaged"):
        recording.load(path)


def test_what_is_no_number_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.5, np.nan, np.inf, -np.inf, 2, -2]), 8000, subtype="DOUBLE")
    assert recording.load(path).tracks[Track.INBOUND].tolist() == [16384, 0, 0, 0, 32767, -32768]


def test_empty_files_and_rates_that_are_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ulaw"
    empty.touch()
    with pytest.raises(UsageError, match="is empty"):
        recording.probe(empty)
    with pytest.raises(UsageError, match="100 Hz; must be 4000 to 384000"):
        recording.probe(wav(tmp_path, np.zeros(8, np.int16), 100))
