"""What a caller's microphone hears besides speech: coughs, breath, throat and lips; keys, doors, paper.

Every function takes a number of samples and a random generator and gives that many samples at 8 kHz, full scale 1.
Sounds of the mouth are made as a mouth makes them: noise or the pulses of the vocal folds through the resonances of a
tract, which is drawn anew for each stretch. None of them is a recording, and none holds a vowel with a steady pitch
for longer than a cough's voiced end or a cleared throat does (0.1 to 0.35 s).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.audio.noises import RATE, Signal, band

__all__ = ["breaths", "coughs", "doors", "paper", "smacks", "throat", "typing"]

Sound = Callable[[np.random.Generator], Signal]
Tract = Sequence[tuple[float, float]]
"""Resonances: frequency and bandwidth in Hz."""


def coughs(samples: int, rng: np.random.Generator) -> Signal:
    """Fits of one to four: a burst, a rush of air, and at times a voiced end."""
    tract = _tract(rng)
    return _scatter(samples, rng, lambda rng: _row(rng, 4, (0.15, 0.5), lambda rng: _cough(rng, tract)), (0.5, 4))


def breaths(samples: int, rng: np.random.Generator) -> Signal:
    """In and out, close to the microphone or not, calm or after a run."""
    tract, pace = _tract(rng), rng.uniform(0.3, 1.2)

    def breath(rng: np.random.Generator) -> Signal:
        into = _swell(int(pace * rng.uniform(0.8, 1.4) * RATE), 0.5, rng)
        out = _swell(int(pace * rng.uniform(0.8, 1.8) * RATE), 0.2, rng)
        pause = np.zeros(int(pace * rng.uniform(0.1, 0.5) * RATE))
        return np.concatenate([_through(np.diff(into, prepend=0.0), tract), pause, _through(out, tract)])

    return _scatter(samples, rng, breath, (0.2 * pace, 2 * pace))


def throat(samples: int, rng: np.random.Generator) -> Signal:
    """A throat is cleared: one to three rough pushes through a tract that is almost shut."""
    tract = [(rng.uniform(200, 350), 90), (rng.uniform(900, 1500), 200), (rng.uniform(2000, 2600), 300)]
    return _scatter(samples, rng, lambda rng: _row(rng, 3, (0.05, 0.25), lambda rng: _push(rng, tract)), (1, 5))


def smacks(samples: int, rng: np.random.Generator) -> Signal:
    """Lips and tongue: clicks of a few ms, alone or in pairs."""

    def smack(rng: np.random.Generator) -> Signal:
        time = np.arange(int(0.05 * RATE)) / RATE
        wet = rng.standard_normal(len(time)) * np.exp(-time / rng.uniform(0.002, 0.012))
        return _through(wet, [(rng.uniform(900, 2000), 300), (rng.uniform(2200, 3300), 400)])

    return _scatter(samples, rng, lambda rng: _row(rng, 3, (0.03, 0.3), smack), (0.3, 3))


def typing(samples: int, rng: np.random.Generator) -> Signal:
    """Words typed at 3 to 9 keys a second: each key goes down and comes up."""
    ring = [(rng.uniform(300, 900), 150), (rng.uniform(1200, 3200), 500)]
    pace = rng.uniform(0.11, 0.33)

    def key(rng: np.random.Generator) -> Signal:
        time = np.arange(int(0.1 * RATE)) / RATE
        noise = rng.standard_normal((2, len(time)))
        up = rng.uniform(0.04, 0.08)
        down_sound = noise[0] * np.exp(-time / 0.006)
        up_sound = 0.4 * noise[1] * np.exp(-np.maximum(time - up, 0) / 0.004) * (time >= up)
        return _through(down_sound + up_sound, ring) * rng.uniform(0.5, 1)

    return _scatter(samples, rng, lambda rng: _row(rng, 9, (0.3 * pace, pace), key), (pace, 6 * pace))


def doors(samples: int, rng: np.random.Generator) -> Signal:
    """Slams and thumps with the room's answer, a latch at times."""

    def slam(rng: np.random.Generator) -> Signal:
        time = np.arange(int(0.9 * RATE)) / RATE
        thump = sum(
            (rng.uniform(0.3, 1) * np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(60, 420, 4)),
            np.zeros(len(time)),
        ) * np.exp(-time / rng.uniform(0.03, 0.1))
        room = rng.standard_normal(len(time)) * np.exp(-time / rng.uniform(0.05, 0.25))
        latch = np.roll(rng.standard_normal(len(time)) * np.exp(-time / 0.004), int(rng.uniform(0, 0.2) * RATE))
        return thump + 0.4 * band(room, 100, 1800) + (0.5 * latch if rng.random() < 0.5 else 0.0)

    return _scatter(samples, rng, slam, (1, 6))


def paper(samples: int, rng: np.random.Generator) -> Signal:
    """Rustling: bright noise in grains, denser and thinner over a second."""

    def rustle(rng: np.random.Generator) -> Signal:
        count = int(rng.uniform(0.3, 2) * RATE)
        grains = np.convolve(rng.random(count) < rng.uniform(0.002, 0.02), np.exp(-np.arange(60) / 15))[:count]
        rustling: Signal = band(rng.standard_normal(count), 700, 3500) * grains * np.hanning(count)
        return rustling

    return _scatter(samples, rng, rustle, (0.2, 3))


def _cough(rng: np.random.Generator, tract: Tract) -> Signal:
    """40 ms of burst; 0.1 to 0.3 s of rushing air; in half of them up to 0.25 s of voice, falling."""
    burst = rng.standard_normal(int(0.04 * RATE)) * np.linspace(1, 0.5, int(0.04 * RATE))
    rush_length = int(rng.uniform(0.1, 0.3) * RATE)
    rush = rng.standard_normal(rush_length) * np.exp(-np.arange(rush_length) / (0.4 * rush_length)) * 0.6
    parts = [burst, rush]
    if rng.random() < 0.5:
        start = rng.uniform(150, 380)
        parts.append(_voiced(rng, start, 0.7 * start, rng.uniform(0.1, 0.25), jitter=0.04) * rng.uniform(1, 4))
    return _through(np.concatenate(parts), tract)


def _push(rng: np.random.Generator, tract: Tract) -> Signal:
    start = rng.uniform(60, 140)
    voice = _voiced(rng, start, start * rng.uniform(0.7, 1.2), rng.uniform(0.12, 0.35), jitter=0.12)
    return _through(voice * 3 + 0.3 * rng.standard_normal(len(voice)) * np.hanning(len(voice)), tract)


def _voiced(rng: np.random.Generator, start: float, end: float, seconds: float, jitter: float) -> Signal:
    """Pulses of the vocal folds from one pitch to another, in Hz, with noise in them; swells and fades."""
    count = int(seconds * RATE)
    sound = np.zeros(count)
    at = 0.0
    while at < count:
        sound[int(at)] = rng.uniform(0.6, 1)
        hertz = start + (end - start) * at / count
        at += RATE / hertz * max(0.5, 1 + rng.normal(0, jitter))
    pulse = np.exp(-np.arange(32) / 6.0)
    rough = np.convolve(sound, pulse)[:count] + 0.05 * rng.standard_normal(count)
    voice: Signal = (rough - rough.mean()) * np.hanning(count)
    return voice


def _tract(rng: np.random.Generator) -> Tract:
    """The resonances of an open mouth, for a throat of 13 to 18 cm."""
    scale = rng.uniform(0.9, 1.25)
    return [(scale * hertz, width) for hertz, width in ((620, 100), (1350, 140), (2500, 220), (3400, 300))]


def _through(source: Signal, tract: Tract) -> Signal:
    """A source through resonances one after the other, at a peak of 1."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(len(source) + RATE // 10, 1 / RATE) / RATE)
    gain = np.ones(len(z), np.complex128)
    for hertz, width in tract:
        radius = np.exp(-np.pi * width / RATE)
        gain /= 1 - 2 * radius * np.cos(2 * np.pi * hertz / RATE) * z + (radius * z) ** 2
    heard: Signal = np.fft.irfft(np.fft.rfft(source, len(source) + RATE // 10) * gain, len(source) + RATE // 10)
    return heard / max(float(np.abs(heard).max()), 1e-9)


def _swell(count: int, peak: float, rng: np.random.Generator) -> Signal:
    """Noise that rises to ``peak`` of its length and falls."""
    at = np.linspace(0, 1, count)
    return rng.standard_normal(count) * np.minimum(at / peak, (1 - at) / (1 - peak))


def _row(rng: np.random.Generator, most: int, gap: tuple[float, float], one: Sound) -> Signal:
    """One to ``most`` sounds with gaps, in s, between them."""
    parts: list[Signal] = []
    for _ in range(int(rng.integers(1, most + 1))):
        parts += [one(rng) * 10 ** (rng.uniform(-6, 0) / 20), np.zeros(int(rng.uniform(*gap) * RATE))]
    return np.concatenate(parts)


def _scatter(samples: int, rng: np.random.Generator, sound: Sound, gap: tuple[float, float]) -> Signal:
    """Sounds with gaps, in s, between them, over the faint noise of a room."""
    parts: list[Signal] = []
    count = 0
    while count < samples:
        parts += [sound(rng), np.zeros(int(rng.uniform(*gap) * RATE))]
        count += len(parts[-2]) + len(parts[-1])
    return np.concatenate(parts)[:samples] + 10 ** rng.uniform(-4, -2.3) * rng.standard_normal(samples)
