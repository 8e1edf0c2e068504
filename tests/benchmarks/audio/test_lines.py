"""The bad lines: each does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.audio.conditions import Signal, active_power
from benchmarks.audio.lines import LEVEL_DBFS, LINES, levelled, speech_frames, telephoned

RNG = np.random.default_rng(2)


def talk() -> Signal:
    """Bursts of noise of 0.4 s, 0.6 s apart, at the expected level."""
    bursts = RNG.normal(0, 1, 8000 * 4) * (np.arange(8000 * 4) % 8000 < 3200)
    return levelled(bursts)


def dbfs(power: float) -> float:
    return float(10 * np.log10(power))


def test_levelled_is_at_the_level() -> None:
    assert dbfs(active_power(talk())) == pytest.approx(LEVEL_DBFS, abs=0.1)
    assert levelled(talk() + 0.3).mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["-45 dBFS", "-50 dBFS", "-55 dBFS"])
def test_quiet_lines(name: str) -> None:
    quiet = LINES[name](talk(), RNG)
    assert dbfs(active_power(quiet)) == pytest.approx(float(name.split()[0]), abs=0.1)


@pytest.mark.parametrize(
    ("name", "level"),
    [("hum 50 Hz -40 dBFS", -40), ("hum 60 Hz -20 dBFS", -20), ("hum with harmonics", -30), ("comfort noise -50", -50)],
)
def test_what_is_added_has_its_level(name: str, level: float) -> None:
    silence = np.zeros(16_000)
    assert dbfs(float(np.mean(LINES[name](silence, RNG) ** 2))) == pytest.approx(level, abs=0.2)


def test_offsets_steps_and_clipping() -> None:
    signal = talk()
    assert (LINES["offset 0.2"](signal, RNG) - signal) == pytest.approx(0.2)
    down = LINES["25 dB down half-way"](signal, RNG)
    assert down[: len(down) // 2] == pytest.approx(signal[: len(down) // 2])
    assert down[len(down) // 2 :] == pytest.approx(signal[len(down) // 2 :] * 10**-1.25)
    clipped = LINES["clipped at the active RMS"](signal, RNG)
    assert np.abs(clipped).max() == pytest.approx(np.sqrt(active_power(signal)))


def test_every_line_can_be_played() -> None:
    for line in LINES.values():
        pcm = telephoned(line(talk(), RNG))
        assert len(pcm) == 32_000
        assert pcm.dtype == np.int16


def test_speech_frames_bridge_closures_and_no_more() -> None:
    signal = np.zeros(256 * 40)
    for place in (4, 5, 9, 10, 30):
        signal[place * 256 : (place + 1) * 256] = 0.1
    found = np.flatnonzero(speech_frames(signal, 256)).tolist()
    assert found == [4, 5, 6, 7, 8, 9, 10, 30]
