"""The audio without speech: of the length, the levels and the pitch that are promised, and the same for a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.audio import handling, music, noises
from benchmarks.audio.noises import RATE, Signal
from benchmarks.audio.nothing import KINDS, Kind, play

SECONDS = 30

Make = Callable[[int, np.random.Generator], Signal]


def loudest(signal: Signal, count: int) -> list[float]:
    """The strongest frequencies in Hz, a peak each, ascending."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    found = []
    for _ in range(count):
        at = int(spectrum.argmax())
        found.append(at * RATE / len(signal))
        near = 5 * len(signal) // RATE
        spectrum[max(0, at - near) : at + near] = 0
    return sorted(found)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_every_kind_is_seeded_and_within_its_levels(kind: Kind) -> None:
    pcm = play(kind, SECONDS)
    assert pcm.dtype == np.int16
    assert pcm.shape == (SECONDS * RATE,)
    assert np.array_equal(pcm, play(kind, SECONDS))
    if kind.name == "silence":
        assert not pcm.any()
        return
    assert not np.array_equal(pcm, play(kind, SECONDS, seed=1))
    peak = 20 * np.log10(np.abs(pcm.astype(np.int32)).max() / 32768)
    assert kind.levels[0] - 7 <= peak <= kind.levels[1] + 0.1  # the quietest may be the least of 16 bits


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_some_of_it_is_digital_silence() -> None:
    pcm = play(next(kind for kind in KINDS if kind.name == "white noise"), 120)
    still = np.flatnonzero(np.convolve(pcm == 0, np.ones(RATE // 20), "valid") == RATE // 20)
    assert len(still)


@pytest.mark.parametrize(("fall", "least", "most"), [(0, -1, 1), (1, -4, -2), (2, -7, -5)])
def test_noise_falls_by_its_colour(fall: float, least: float, most: float) -> None:
    noise = noises.coloured(fall)(60 * RATE, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    octave = [float(power[60 * low : 120 * low].mean()) for low in (400, 800)]
    assert least < 10 * np.log10(octave[1] / octave[0]) < most


def test_ringback_and_keys_have_their_tones() -> None:
    pairs = {tuple(tones) for cadence in noises.RINGBACK for tones, _ in cadence if tones}
    for seed in range(8):
        sound = noises.ringback(12 * RATE, np.random.default_rng(seed))
        heard = loudest(sound, 2)
        assert any(all(min(abs(hertz - one) for one in heard) < 3 for hertz in tones) for tones in pairs)
    keys = noises.dtmf(30 * RATE, np.random.default_rng(0))
    low, high = loudest(keys, 2)
    assert 600 < low < 1700
    assert 600 < high < 1700
    pauses = noises.ringback(12 * RATE, np.random.default_rng(0)).reshape(-1, RATE // 10).std(axis=1)
    assert pauses.max() > 20 * pauses.min()


@pytest.mark.parametrize("make", [music.chords, music.melody, music.organ, music.strings, music.drums, music.together])
def test_music_stays_in_the_telephone_band(make: Make) -> None:
    piece = make(20 * RATE, np.random.default_rng(3))
    power = np.abs(np.fft.rfft(piece)) ** 2
    inside = power[20 * 270 : 20 * 3740].sum()
    assert inside > 0.999 * power.sum()
    assert np.abs(piece).max() > 0.1


def test_music_has_rhythm() -> None:
    beat = music.drums(20 * RATE, np.random.default_rng(1))
    loud = np.abs(beat).reshape(-1, RATE // 50).max(axis=1)
    again = np.correlate(loud - loud.mean(), loud - loud.mean(), "full")[len(loud) :]
    assert again[10:150].max() > 0.3 * float(np.square(loud - loud.mean()).sum())


@pytest.mark.parametrize("make", [handling.coughs, handling.throat, handling.typing, handling.doors, handling.smacks])
def test_handling_comes_and_goes(make: Make) -> None:
    sound = make(30 * RATE, np.random.default_rng(2))
    loud = np.abs(sound[: len(sound) // 400 * 400]).reshape(-1, 400).max(axis=1)
    assert np.percentile(loud, 99) > 10 * np.percentile(loud, 10)
