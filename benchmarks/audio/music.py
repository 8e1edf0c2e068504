"""Hold music without voices, played by synthesis: chords that die away, a melody, an organ, strings, a band with drums.

Every function takes a number of samples and a random generator and gives that many samples at 8 kHz, full scale 1: one
piece in a key, a tempo and a progression of its own. What lies beyond the telephone band is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.audio.noises import RATE, Signal, band

__all__ = ["chords", "drums", "melody", "organ", "strings", "together"]

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (1, 4, 0, 5), (0, 3, 4, 4), (5, 3, 0, 4))
"""Degrees of the scale on which the chords of four bars stand."""


@dataclass(frozen=True, slots=True)
class Key:
    """A scale, a tempo and a progression."""

    root: float  # Hz
    scale: Sequence[int]
    beat: float  # s
    progression: Sequence[int]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Key:
        """Any of them; 70 to 140 beats a minute."""
        return cls(
            110 * 2 ** (rng.integers(12) / 12),
            (MAJOR, MINOR)[rng.integers(2)],
            60 / float(rng.uniform(70, 140)),
            PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        )

    def hertz(self, degree: int) -> float:
        """The frequency of a degree; 7 is an octave up."""
        octave, step = divmod(degree, 7)
        return float(self.root * 2 ** (octave + self.scale[step] / 12))

    def chord(self, bar: int) -> tuple[int, int, int]:
        """The three degrees of a bar's chord."""
        base = self.progression[bar % len(self.progression)]
        return base, base + 2, base + 4


@dataclass(frozen=True, slots=True)
class Instrument:
    """How a note sounds.

    ``partials`` are the gains of the harmonics; a note comes in ``attack`` s and, if it is struck, has fallen to a
    third ``decay`` s later (the higher harmonics sooner); ``vibrato`` is the depth in parts of the frequency.
    """

    partials: Sequence[float]
    attack: float
    decay: float | None = None
    vibrato: float = 0.0

    def play(self, hertz: float, seconds: float, rng: np.random.Generator) -> Signal:
        """A note; a held one is let go in 60 ms at its end."""
        time = np.arange(int(seconds * RATE)) / RATE
        depth = self.vibrato * np.minimum(time / 0.4, 1)
        wave = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time + rng.uniform(0, 6))
        # Harmonics as powers of one rotation: a multiplication each in place of a sine.
        turn = np.exp(2j * np.pi * np.cumsum(hertz * (1 + depth * wave)) / RATE)
        harmonic = np.ones(len(time), np.complex128)
        sound = np.zeros(len(time))
        for order, gain in enumerate(self.partials, 1):
            if order * hertz >= 0.45 * RATE:
                break
            harmonic *= turn
            fall = 1.0 if self.decay is None else np.exp(-time * order**0.5 / self.decay)
            sound += gain * fall * (harmonic * np.exp(1j * rng.uniform(0, 6))).imag
        edges = np.minimum(time / self.attack, 1) * np.minimum((seconds - time) / 0.06, 1)
        note: Signal = sound * np.clip(edges, 0, 1)
        return note


PIANO = Instrument([1, 0.6, 0.4, 0.25, 0.15, 0.1, 0.06], 0.004, 0.7)
GUITAR = Instrument([0.8, 1, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1], 0.002, 0.35)
FLUTE = Instrument([1, 0.35, 0.1, 0.04], 0.05, vibrato=0.006)
TRUMPET = Instrument([0.6, 0.8, 1, 0.8, 0.6, 0.45, 0.3, 0.2, 0.12], 0.03, vibrato=0.004)
REED = Instrument([1, 0.1, 0.75, 0.15, 0.5, 0.1, 0.3], 0.03, vibrato=0.003)
ORGAN = Instrument([1, 0.8, 0.5, 0.6, 0.1, 0.3, 0.05, 0.4], 0.015)
BOWED = Instrument([1 / order for order in range(1, 11)], 0.12, vibrato=0.007)
BASS = Instrument([1, 0.7, 0.4, 0.2], 0.01, 0.5)

Score = Callable[[Signal, Key, np.random.Generator], None]
"""Adds its notes to a piece."""


def chords(samples: int, rng: np.random.Generator) -> Signal:
    """A piano or a guitar, struck in some rhythm, broken or whole."""
    return _piece(samples, rng, _struck((PIANO, GUITAR)[rng.integers(2)]))


def melody(samples: int, rng: np.random.Generator) -> Signal:
    """One instrument alone: flute, trumpet or a reed."""
    return _piece(samples, rng, _tune((FLUTE, TRUMPET, REED)[rng.integers(3)]))


def organ(samples: int, rng: np.random.Generator) -> Signal:
    """Held chords, with a rotating loudspeaker's tremolo."""
    sound = _piece(samples, rng, _held(ORGAN, players=1))
    return sound * (1 + 0.25 * np.sin(2 * np.pi * rng.uniform(1, 7) * np.arange(samples) / RATE))


def strings(samples: int, rng: np.random.Generator) -> Signal:
    """Held chords of bowed strings, three a part and out of tune by a few cents, with a tune above."""
    return _piece(samples, rng, _held(BOWED, players=3), _tune(BOWED))


def drums(samples: int, rng: np.random.Generator) -> Signal:
    """A drum kit alone."""
    return _piece(samples, rng, _beat)


def together(samples: int, rng: np.random.Generator) -> Signal:
    """Drums, bass, chords and a tune."""
    tune = _tune((FLUTE, TRUMPET, REED, PIANO)[rng.integers(4)])
    return _piece(samples, rng, _beat, _bass, _struck((PIANO, GUITAR)[rng.integers(2)]), tune)


def _piece(samples: int, rng: np.random.Generator, *scores: Score) -> Signal:
    key = Key.draw(rng)
    sound = np.zeros(samples)
    for score in scores:
        part = np.zeros(samples)
        score(part, key, rng)
        sound += part * 10 ** (rng.uniform(-6, 0) / 20) / max(float(np.abs(part).max()), 1e-9)
    return band(sound, 300, 3400)


def _add(piece: Signal, at: float, sound: Signal) -> None:
    start = int(at * RATE)
    room = piece[start : start + len(sound)]
    room += sound[: len(room)]


def _bars(piece: Signal, key: Key) -> int:
    return int(len(piece) / RATE / (4 * key.beat)) + 1


def _struck(instrument: Instrument) -> Score:
    def score(piece: Signal, key: Key, rng: np.random.Generator) -> None:
        pattern = rng.random(8) < 0.6
        pattern[0] = True
        broken = rng.random() < 0.5
        notes: dict[int, Signal] = {}
        for bar in range(_bars(piece, key)):
            for eighth in np.flatnonzero(pattern):
                at = (bar * 4 + eighth / 2) * key.beat
                degrees = key.chord(bar)
                if broken:
                    degrees = (degrees[eighth % 3],) * 3
                for degree in degrees:
                    if degree not in notes:
                        notes[degree] = instrument.play(key.hertz(degree + 7), 1.5, rng)
                    _add(piece, at + rng.uniform(0, 0.015), rng.uniform(0.6, 1) * notes[degree])

    return score


def _tune(instrument: Instrument) -> Score:
    def score(piece: Signal, key: Key, rng: np.random.Generator) -> None:
        at, degree = 0.0, 14
        while at < len(piece) / RATE:
            long = float(rng.choice([0.5, 1, 1, 1.5, 2])) * key.beat
            if rng.random() < 0.85:
                _add(piece, at, rng.uniform(0.6, 1) * instrument.play(key.hertz(degree), 0.97 * long, rng))
            degree = int(np.clip(degree + rng.integers(-3, 4), 8, 21))
            at += long

    return score


def _held(instrument: Instrument, players: int) -> Score:
    def score(piece: Signal, key: Key, rng: np.random.Generator) -> None:
        for bar in range(_bars(piece, key)):
            for degree in key.chord(bar):
                for _ in range(players):
                    hertz = key.hertz(degree + 7) * (1 + rng.normal(0, 0.002))
                    _add(piece, bar * 4 * key.beat, instrument.play(hertz, 4 * key.beat, rng))

    return score


def _bass(piece: Signal, key: Key, rng: np.random.Generator) -> None:
    for bar in range(_bars(piece, key)):
        for beat in range(4):
            degree = key.chord(bar)[int(rng.choice([0, 0, 0, 2]))]
            _add(piece, (bar * 4 + beat) * key.beat, BASS.play(key.hertz(degree), key.beat, rng))


def _beat(piece: Signal, key: Key, rng: np.random.Generator) -> None:
    kicks, snares, hats = rng.random(8) < 0.35, rng.random(8) < 0.15, rng.random(8) < 0.8
    kicks[0] = snares[2] = snares[6] = True
    time = np.arange(int(0.3 * RATE)) / RATE
    kick = np.sin(2 * np.pi * (50 * time + 8 * (1 - np.exp(-time / 0.03)))) * np.exp(-time / 0.09)
    for bar in range(_bars(piece, key)):
        for eighth in range(8):
            at = (bar * 4 + eighth / 2) * key.beat
            noise = rng.standard_normal(len(time))
            if kicks[eighth]:
                _add(piece, at, kick)
            if snares[eighth]:
                _add(piece, at, (0.4 * noise + 0.5 * np.sin(2 * np.pi * 190 * time)) * np.exp(-time / 0.07))
            if hats[eighth]:
                _add(piece, at, 0.3 * np.diff(noise, prepend=0.0) * np.exp(-time / 0.025))
