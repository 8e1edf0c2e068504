from __future__ import annotations

import numpy as np
import pytest

from benchmarks.audio import conditions
from benchmarks.audio.conditions import CONDITIONS, DISTURBED, active_power, disturb
from gateway._native import mulaw
from gateway.speech.engine import Pcm

RATE = 8000
DISTURBED_NAMES = [condition.name for condition in DISTURBED]


@pytest.fixture(scope="module")
def speech() -> Pcm:
    """Four seconds of harmonics that come and go like syllables, with a pause of a second."""
    seconds = np.arange(4 * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * n * seconds) / n for n in range(1, 25))
    voice *= np.maximum(0.0, np.sin(2 * np.pi * 3 * seconds)) * 3000
    voice[RATE : 2 * RATE] = 0
    return np.asarray(np.rint(voice), np.int16)


def db(pcm: Pcm) -> float:
    return float(10 * np.log10(np.mean((pcm / 32768) ** 2)))


def band_db(pcm: Pcm, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(pcm / 32768)) ** 2
    hz = np.fft.rfftfreq(len(pcm), 1 / RATE)
    return float(10 * np.log10(spectrum[(hz >= low) & (hz < high)].sum()))


def snr_db(speech: Pcm, name: str) -> float:
    noise = (disturb(speech, name, "a").astype(float) - speech) / 32768
    return float(10 * np.log10(active_power(speech / 32768) / np.mean(noise**2)))


def test_there_are_eight_and_clean() -> None:
    assert len(DISTURBED) == 8
    assert list(CONDITIONS) == ["clean", *DISTURBED_NAMES]


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("samples", [1, 159, 1000, 32000])
def test_length_stays_and_mulaw_comes_last(speech: Pcm, name: str, samples: int) -> None:
    pcm = speech[200 : 200 + samples] if samples < 32000 else speech
    out = disturb(pcm, name, "a")
    assert out.dtype == np.int16
    assert len(out) == len(pcm)
    assert np.array_equal(mulaw.decode(mulaw.encode(out)), out)


@pytest.mark.parametrize("name", DISTURBED_NAMES)
def test_a_condition_is_the_same_every_time_and_does_something(speech: Pcm, name: str) -> None:
    out = disturb(speech, name, "a")
    assert np.array_equal(out, disturb(speech, name, "a"))
    assert not np.array_equal(out, disturb(speech, "clean", "a"))


@pytest.mark.parametrize("name", ["white", "babble", "loss", "room"])
def test_every_file_and_seed_has_its_own_noise(speech: Pcm, name: str) -> None:
    out = disturb(speech, name, "a")
    assert not np.array_equal(out, disturb(speech, name, "b"))
    assert not np.array_equal(out, disturb(speech, name, "a", seed=1))


@pytest.mark.parametrize("name", CONDITIONS)
def test_silence_stays_silence(name: str) -> None:
    # GSM's decoder makes the least step of noise out of nothing.
    assert np.abs(disturb(np.zeros(RATE, np.int16), name, "a")).max() <= (8 if name == "tandem" else 0)


def test_clean_is_mulaw_alone(speech: Pcm) -> None:
    assert np.array_equal(disturb(speech, "clean", "a"), mulaw.decode(mulaw.encode(speech)))


def test_active_power_leaves_pauses_out() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE)
    assert active_power(tone) == pytest.approx(0.005)
    assert active_power(np.concatenate([tone, np.zeros(3 * RATE)])) == pytest.approx(0.005)


def test_level_is_twenty_db_lower(speech: Pcm) -> None:
    assert db(disturb(speech, "level", "a")) - db(speech) == pytest.approx(-20, abs=0.2)


def test_clipping_flattens_peaks_and_leaves_the_rest(speech: Pcm) -> None:
    out = disturb(speech, "clipping", "a") / 32768
    most = conditions.CLIP_CREST * np.sqrt(active_power(speech / 32768))
    assert np.abs(out).max() == pytest.approx(most, rel=0.05)
    below = np.abs(speech / 32768) < 0.9 * most
    assert np.array_equal(out[below], disturb(speech, "clean", "a")[below] / 32768)
    assert np.mean(~below) > 0.01


def test_band_takes_away_what_is_outside(speech: Pcm) -> None:
    out = disturb(speech, "band", "a")
    assert band_db(out, 700, 2400) == pytest.approx(band_db(speech, 700, 2400), abs=0.5)
    assert band_db(out, 50, 350) < band_db(speech, 50, 350) - 30
    assert band_db(out, 2750, 3900) < band_db(speech, 2750, 3900) - 15


def test_noise_has_the_ratio_it_says(speech: Pcm) -> None:
    assert snr_db(speech, "white") == pytest.approx(conditions.WHITE_SNR_DB, abs=0.3)
    assert snr_db(speech, "babble") == pytest.approx(conditions.BABBLE_SNR_DB, abs=0.3)


def test_babble_is_low_and_white_noise_is_not(speech: Pcm) -> None:
    babble, white = (disturb(speech, name, "a")[RATE + 100 : 2 * RATE - 100] for name in ("babble", "white"))
    assert band_db(babble, 0, 1000) > band_db(babble, 2000, 4000) + 10
    assert band_db(white, 0, 2000) == pytest.approx(band_db(white, 2000, 4000), abs=1)


def test_loss_takes_whole_frames() -> None:
    steady = np.full(400 * RATE // 10, 5000, np.int16)
    frames = disturb(steady, "loss", "a").reshape(-1, conditions.LOSS_FRAME)
    lost = (frames == 0).all(axis=1)
    assert np.array_equal(lost, (frames == 0).any(axis=1))
    assert lost.mean() == pytest.approx(conditions.LOSS_RATE, abs=0.015)


def test_tandem_keeps_speech_in_its_place(speech: Pcm) -> None:
    out = disturb(speech, "tandem", "a")
    likeness = [float(np.dot(np.roll(out.astype(float), shift), speech)) for shift in range(-40, 41)]
    assert abs(int(np.argmax(likeness)) - 40) <= 2
    assert band_db(out, 400, 3200) == pytest.approx(band_db(speech, 400, 3200), abs=3)


def test_room_goes_on_after_the_sound() -> None:
    click = np.zeros(RATE, np.int16)
    click[100:140] = 20000
    out = disturb(click, "room", "a")
    assert not out[:100].any()
    early, late = db(out[600:1000]), db(out[2600:3000])
    assert 25 < early - late < 42  # 60 dB in 0.45 s are 33 in 250 ms
