"""What a telephone line makes by itself: noise, hum, crackle, and the tones of exchanges, keypads and fax machines.

Every function takes a number of samples and a random generator and gives that many samples at 8 kHz, full scale 1, at
any level: :mod:`benchmarks.audio.nothing` sets that. Tones follow ITU-T E.180 (call progress, as its supplement lists
them for each country), Q.23 (keypad), E.180 (special information), T.30 and V.21 (fax) and V.25 (answering modems).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RATE",
    "Signal",
    "band",
    "busy",
    "coloured",
    "comfort",
    "crackle",
    "dtmf",
    "fax",
    "hum",
    "information",
    "murmur",
    "ringback",
    "silence",
]

RATE = 8000

Signal = NDArray[np.float64]
"""Full scale is 1; shape ``(samples,)``, 8 kHz."""

Cadence = Sequence[tuple[Sequence[float], float]]
"""Frequencies that sound together, and for how many seconds; none is a pause. Repeated from its beginning."""

RINGBACK: Sequence[Cadence] = (
    (((440, 480), 2.0), ((), 4.0)),  # North America
    (((425,), 1.0), ((), 4.0)),  # Germany and much of Europe
    (((400, 450), 0.4), ((), 0.2), ((400, 450), 0.4), ((), 2.0)),  # United Kingdom
    (((400, 417), 1.0), ((), 2.0)),  # Japan
    (((440,), 1.5), ((), 3.5)),  # France
)
BUSY: Sequence[Cadence] = (
    (((480, 620), 0.5), ((), 0.5)),  # North America, busy
    (((480, 620), 0.25), ((), 0.25)),  # North America, reorder
    (((425,), 0.48), ((), 0.48)),  # Germany, busy
    (((425,), 0.24), ((), 0.24)),  # Germany, congestion
    (((400,), 0.375), ((), 0.375)),  # United Kingdom, busy
    (((400,), 0.4), ((), 0.35), ((400,), 0.225), ((), 0.525)),  # United Kingdom, congestion
    (((350, 440), 10.0), ((), 0.5)),  # North America, dial tone
    (((1400, 2060, 2450, 2600), 0.1), ((), 0.1)),  # North America, receiver off the hook
)
INFORMATION: Cadence = (((950,), 0.33), ((1400,), 0.33), ((1800,), 0.33), ((), 1.0))
KEYS = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)]


def silence(samples: int, _: np.random.Generator) -> Signal:
    """Digital silence."""
    return np.zeros(samples)


def coloured(fall: float) -> Callable[[int, np.random.Generator], Signal]:
    """Noise whose power falls by ``fall`` × 3 dB an octave above 50 Hz: 0 white, 1 pink, 2 brown."""

    def make(samples: int, rng: np.random.Generator) -> Signal:
        return _shaped(rng.standard_normal(samples), lambda hertz: np.maximum(hertz, 50.0) ** (-fall / 2))

    return make


def comfort(samples: int, rng: np.random.Generator) -> Signal:
    """What a codec puts into pauses: noise in the telephone band, its spectrum redrawn every 20 to 200 ms."""
    noise = band(rng.standard_normal(samples), 200, rng.uniform(1500, 3600))
    step = int(rng.uniform(0.02, 0.2) * RATE)
    loud = np.repeat(10 ** (rng.normal(0, 1.5, samples // step + 1) / 20), step)[:samples]
    return noise * loud


def hum(samples: int, rng: np.random.Generator) -> Signal:
    """Mains at 50 or 60 Hz with its harmonics, over faint noise."""
    time = np.arange(samples) / RATE
    mains = rng.choice([50.0, 60.0]) * rng.uniform(0.998, 1.002)
    orders = np.arange(1, 30)
    loud = rng.uniform(0.1, 1, len(orders)) / orders ** rng.uniform(0.5, 1.5)
    turns = rng.uniform(0, 2 * np.pi, len(orders))
    total = np.zeros(samples)
    for order, gain, turn in zip(orders, loud, turns, strict=True):
        total += gain * np.sin(2 * np.pi * mains * order * time + turn)
    return total + 0.02 * rng.standard_normal(samples)


def crackle(samples: int, rng: np.random.Generator) -> Signal:
    """Clicks of a bad contact: single ones, and bursts of many, each ringing for a millisecond or two."""
    rate = 10 ** rng.uniform(-0.3, 1.7) / RATE
    at = np.flatnonzero(rng.random(samples) < rate)
    for start in np.flatnonzero(rng.random(samples) < 0.3 / RATE):
        at = np.append(at, start + rng.integers(0, RATE // 2, rng.integers(10, 80)))
    clicks = np.zeros(samples)
    at = at[at < samples]
    clicks[at] = rng.choice([-1, 1], len(at)) * 10 ** (rng.uniform(-20, 0, len(at)) / 20)
    ring = np.exp(-np.arange(24) / rng.uniform(1, 8)) * np.cos(np.arange(24) * rng.uniform(0.3, 2.5))
    return np.convolve(clicks, ring)[:samples] + 0.003 * rng.standard_normal(samples)


def murmur(samples: int, rng: np.random.Generator) -> Signal:
    """Noise with the long-term spectrum of speech that swells like the syllables of several talkers; no voice in it."""
    time = np.arange(samples) / RATE
    total = np.zeros(samples)
    for _ in range(int(rng.integers(1, 8))):
        voice = _shaped(rng.standard_normal(samples), lambda hertz: (np.maximum(hertz, 500.0) / 500) ** -1.5)
        turn = 2 * np.pi * (rng.uniform(2.5, 5.5) * time + rng.uniform())
        total += voice * (1 + np.sin(turn)) / 2
    return total


def ringback(samples: int, rng: np.random.Generator) -> Signal:
    """The other end is ringing, in one of five countries."""
    return _cadence(samples, RINGBACK[int(rng.integers(len(RINGBACK)))], rng)


def busy(samples: int, rng: np.random.Generator) -> Signal:
    """Busy, congestion, dial tone and the howler, in one of three countries."""
    return _cadence(samples, BUSY[int(rng.integers(len(BUSY)))], rng)


def information(samples: int, rng: np.random.Generator) -> Signal:
    """The three tones before an announcement; without the announcement."""
    shift = rng.uniform(0.97, 1.03)
    cadence = [([hertz * shift for hertz in tones], seconds) for tones, seconds in INFORMATION]
    return _cadence(samples, cadence, rng)


def dtmf(samples: int, rng: np.random.Generator) -> Signal:
    """Keys of a keypad, by hand (uneven, with pauses) or by an autodialler (50 ms each)."""
    by_hand = rng.random() < 0.7
    cadence: list[tuple[Sequence[float], float]] = []
    seconds = 0.0
    while seconds < samples / RATE:
        sounding = float(rng.uniform(0.08, 0.35)) if by_hand else 0.05
        pause = float(rng.uniform(0.05, 0.5)) if by_hand else 0.05
        if rng.random() < 0.1:
            pause += float(rng.uniform(0.5, 3))
        cadence += [(KEYS[rng.integers(len(KEYS))], sounding), ((), pause)]
        seconds += sounding + pause
    return _cadence(samples, cadence, rng)


def fax(samples: int, rng: np.random.Generator) -> Signal:
    """A calling fax, an answering modem with its phase reversals, V.21 frames, or the noise of a page."""
    time = np.arange(samples) / RATE
    kind = rng.integers(4)
    if kind == 0:
        return _cadence(samples, (((1100,), 0.5), ((), 3.0)), rng)
    if kind == 1:
        reversals = np.where((time / 0.45).astype(int) % 2, -1.0, 1.0)
        return reversals * np.sin(2 * np.pi * 2100 * time) * (1 + 0.2 * np.sin(2 * np.pi * 15 * time))
    if kind == 2:
        bits = np.repeat(rng.integers(0, 2, samples // 26 + 1), 26)[:samples]  # 300 bit/s
        sound = np.sin(2 * np.pi * np.cumsum(np.where(bits, 1650.0, 1850.0)) / RATE)
        return np.where(time % 4 < 2.5, sound, 0.0)
    phases = np.repeat(rng.integers(0, 8, samples // 5 + 1), 5)[:samples] * np.pi / 4  # V.27ter: 1600 baud at 1800 Hz
    return band(np.sin(2 * np.pi * 1800 * time + phases), 800, 2900)


def band(signal: Signal, low: float, high: float) -> Signal:
    """What lies between two frequencies in Hz; the skirts fall within 10 %."""

    def gain(hertz: Signal) -> Signal:
        below = np.clip((hertz - 0.9 * low) / (0.1 * low + 1e-9), 0, 1)
        return np.asarray(below * np.clip((1.1 * high - hertz) / (0.1 * high), 0, 1))

    return _shaped(signal, gain)


def _shaped(signal: Signal, gain: Callable[[Signal], Signal]) -> Signal:
    """The signal with its spectrum multiplied by a function of the frequency in Hz."""
    spectrum = np.fft.rfft(signal) * gain(np.fft.rfftfreq(len(signal), 1 / RATE).astype(np.float64))
    return np.fft.irfft(spectrum, len(signal))


def _cadence(samples: int, cadence: Cadence, rng: np.random.Generator) -> Signal:
    """Tones in their rhythm, begun anywhere in it, with 4 ms edges and faint noise of the line."""
    pieces: list[Signal] = []
    for tones, seconds in cadence:
        time = np.arange(int(seconds * RATE)) / RATE
        gains = 10 ** (rng.uniform(-4, 0, len(tones)) / 20)
        sound = sum(
            (gain * np.sin(2 * np.pi * hertz * time) for gain, hertz in zip(gains, tones, strict=True)),
            np.zeros(len(time)),
        )
        edge = np.minimum(np.arange(len(time)), np.arange(len(time))[::-1]) / 32
        pieces.append(sound * np.minimum(edge, 1.0))
    period = np.concatenate(pieces)
    start = int(rng.integers(len(period)))
    return np.resize(np.roll(period, -start), samples) + 10 ** rng.uniform(-4, -2) * rng.standard_normal(samples)
