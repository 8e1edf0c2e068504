"""Lines on which voice activity must not fail: bias, hum, levels, clipping, comfort noise, each by itself and together.

Every line takes speech at :data:`LEVEL_DBFS` (active level) and gives what the line makes of it before μ-law; seconds
count from the recording's begin. The levels of noise and hum are RMS against full scale.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.audio.conditions import RATE, Signal, active_power
from gateway._native import mulaw
from gateway.speech.engine import Pcm

__all__ = ["LEVEL_DBFS", "LINES", "levelled", "speech_frames", "telephoned"]

LEVEL_DBFS = -26.0
"""What ITU-T P.56 calls nominal."""

SPEECH_BELOW_ACTIVE_DB = 22.0
CLOSURE_FRAMES = 6
"""Quiet of up to 192 ms between two frames of speech belongs to it."""

Line = Callable[[Signal, np.random.Generator], Signal]


def _seconds(signal: Signal) -> Signal:
    seconds: Signal = np.arange(len(signal)) / RATE
    return seconds


def _at(level_dbfs: float) -> Line:
    return lambda signal, _: signal * 10 ** ((level_dbfs - LEVEL_DBFS) / 20)


def _hum(hertz: float, level_dbfs: float) -> Line:
    size = float(10 ** (level_dbfs / 20) * np.sqrt(2))

    def line(signal: Signal, _: np.random.Generator) -> Signal:
        wave: Signal = np.sin(2 * np.pi * hertz * _seconds(signal))
        return signal + size * wave

    return line


def _harmonics(signal: Signal, _: np.random.Generator) -> Signal:
    orders = np.arange(1, 8)[:, None]
    hum: Signal = np.sum(np.sin(2 * np.pi * 60 * orders * _seconds(signal) + orders) / orders, axis=0)
    return signal + hum * float(10 ** (-30 / 20) / np.sqrt(np.mean(hum**2)))


def _hiss(level_dbfs: float) -> Line:
    return lambda signal, rng: signal + rng.normal(0, 10 ** (level_dbfs / 20), len(signal))


def _both(first: Line, second: Line) -> Line:
    return lambda signal, rng: second(first(signal, rng), rng)


def _offset(share: float) -> Line:
    return lambda signal, _: signal + share


def _drift(hertz: float) -> Line:
    return lambda signal, _: signal + 0.1 * np.sin(2 * np.pi * hertz * _seconds(signal))


def _clip(crest: float) -> Line:
    return lambda signal, _: np.clip(
        signal, -crest * np.sqrt(active_power(signal)), crest * np.sqrt(active_power(signal))
    )


def _step(first_db: float, then_db: float) -> Line:
    def line(signal: Signal, _: np.random.Generator) -> Signal:
        half = np.arange(len(signal)) < len(signal) / 2
        return signal * 10 ** (np.where(half, first_db, then_db) / 20)

    return line


LINES: dict[str, Line] = {
    "good": lambda signal, _: signal,
    "-45 dBFS": _at(-45),
    "-50 dBFS": _at(-50),
    "-55 dBFS": _at(-55),
    "offset 0.01": _offset(0.01),
    "offset 0.2": _offset(0.2),
    "offset drifts, 0.05 Hz": _drift(0.05),
    "offset drifts, 1 Hz": _drift(1),
    "-45 dBFS on offset 0.02": _both(_at(-45), _offset(0.02)),
    "hum 50 Hz -40 dBFS": _hum(50, -40),
    "hum 60 Hz -20 dBFS": _hum(60, -20),
    "hum with harmonics": _harmonics,
    "-45 dBFS in hum -30": _both(_at(-45), _hum(50, -30)),
    "clipped at the active RMS": _clip(1.0),
    "clipped after +20 dB": lambda signal, _: np.clip(signal * 10, -1, 1),
    "comfort noise -60": _hiss(-60),
    "comfort noise -50": _hiss(-50),
    "-45 dBFS in noise -60": _both(_at(-45), _hiss(-60)),
    "noise, SNR 10 dB": _hiss(LEVEL_DBFS - 10),
    "25 dB down half-way": _step(0, -25),
    "25 dB up half-way": _step(-25, 0),
}


def levelled(signal: Signal) -> Signal:
    """At the level that the lines expect, without an offset of its own."""
    centred = signal - signal.mean()
    louder: Signal = centred * 10 ** (LEVEL_DBFS / 20) / np.sqrt(active_power(centred))
    return louder


def telephoned(signal: Signal) -> Pcm:
    """Through μ-law, whatever is too loud clipped."""
    return mulaw.decode(mulaw.encode(np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16)))


def speech_frames(signal: Signal, frame: int) -> NDArray[np.bool_]:
    """Which frames of a clean recording are speech by their energy; closures of plosives belong to it."""
    power = np.mean(signal[: len(signal) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    loud = power > active_power(signal) * 10 ** (-SPEECH_BELOW_ACTIVE_DB / 10)
    places = np.flatnonzero(loud)
    for before, after in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
        if after - before <= CLOSURE_FRAMES + 1:
            loud[before:after] = True
    return np.asarray(loud)
