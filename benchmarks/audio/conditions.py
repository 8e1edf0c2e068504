"""Eight things that telephone lines do to speech, made from clean recordings: seeded, each with its parameters.

Every condition ends in μ-law, as the line does. The same seed, condition and key (the file's name) give the same
samples on every machine; two files never get the same noise. Levels of noise are against the *active* speech level:
the mean power of the 20 ms frames that lie within 25 dB of the loudest, so that pauses do not count.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from gateway._native import mulaw
from gateway.speech.engine import Pcm

__all__ = ["CLEAN", "CONDITIONS", "DISTURBED", "SEED", "Condition", "active_power", "disturb"]

Signal = NDArray[np.float64]
"""Full scale is 1; shape ``(samples,)``, 8 kHz."""

RATE = 8000
FRAME = RATE // 50
SEED = 20260301

LEVEL_DB = -20.0
CLIP_CREST = 1.5
"""Clipped at so many times the active RMS (3.5 dB; speech peaks at 12 to 18): an overdriven microphone."""

BAND_HZ = (450.0, 2600.0)
"""A poor handset; the telephone band is 300 to 3400 Hz."""
BAND_TAPS = 401

WHITE_SNR_DB = 15.0
BABBLE_SNR_DB = 12.0
BABBLE_TALKERS = 6
BABBLE_SYLLABLES_HZ = (2.5, 5.5)
"""The rate at which a talker's loudness goes up and down."""
BABBLE_CORNER_HZ = 500.0
"""Up to here a talker's spectrum is flat, above it falls by 9 dB an octave: the long-term spectrum of speech."""

LOSS_RATE = 0.03
LOSS_FRAME = FRAME
"""20 ms: one of Twilio's messages."""

TANDEM_BAND_HZ = (300.0, 3300.0)

ROOM_RT60_S = 0.45
ROOM_DELAY_S = 0.004
ROOM_DIRECT_DB = 3.0
"""The direct sound above all of the reverberation: a speakerphone at arm's length."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A name, what it does with its parameters, and the function that does it before μ-law."""

    name: str
    what: str
    apply: Callable[[Signal, np.random.Generator], Signal]


def active_power(signal: Signal) -> float:
    """Mean square of the frames of speech (see above); 0 for silence."""
    frames = signal[: len(signal) // FRAME * FRAME].reshape(-1, FRAME)
    powers = np.mean(frames**2, axis=1) if len(frames) else np.mean(signal**2, keepdims=True)
    return float(powers[powers >= powers.max() * 10**-2.5].mean())


def _clean(signal: Signal, _: np.random.Generator) -> Signal:
    return signal


def _level(signal: Signal, _: np.random.Generator) -> Signal:
    return signal * 10 ** (LEVEL_DB / 20)


def _clipping(signal: Signal, _: np.random.Generator) -> Signal:
    most = CLIP_CREST * np.sqrt(active_power(signal))
    return np.clip(signal, -most, most)


def _band_pass(signal: Signal, low: float, high: float) -> Signal:
    """Linear phase, its delay taken off: a Hamming-windowed sinc."""
    n = np.arange(BAND_TAPS) - BAND_TAPS // 2
    taps = 2 * high / RATE * np.sinc(2 * high / RATE * n) - 2 * low / RATE * np.sinc(2 * low / RATE * n)
    # Mode "same" would give the longer of the two: files shorter than the filter keep their length so.
    half = BAND_TAPS // 2
    filtered: Signal = np.convolve(signal, taps * np.hamming(BAND_TAPS))
    return filtered[half : half + len(signal)]


def _band(signal: Signal, _: np.random.Generator) -> Signal:
    return _band_pass(signal, *BAND_HZ)


def _add(signal: Signal, noise: Signal, snr_db: float) -> Signal:
    """Noise at ``snr_db`` below the active speech level."""
    power = float(np.mean(noise**2))
    return signal + noise * float(np.sqrt(active_power(signal) / power / 10 ** (snr_db / 10)))


def _white(signal: Signal, rng: np.random.Generator) -> Signal:
    return _add(signal, rng.standard_normal(len(signal)), WHITE_SNR_DB)


def _babble(signal: Signal, rng: np.random.Generator) -> Signal:
    """Noise with the spectrum of speech that swells and fades like syllables, from several talkers."""
    count = len(signal)
    fall = (np.maximum(np.fft.rfftfreq(count, 1 / RATE), BABBLE_CORNER_HZ) / BABBLE_CORNER_HZ) ** -1.5
    seconds = np.arange(count) / RATE
    noise = np.zeros(count)
    for _ in range(BABBLE_TALKERS):
        voice = np.fft.irfft(np.fft.rfft(rng.standard_normal(count)) * fall, count)
        turn = 2 * np.pi * (rng.uniform(*BABBLE_SYLLABLES_HZ) * seconds + rng.uniform())
        noise += voice * (1 + np.sin(turn)) / 2
    return _add(signal, noise, BABBLE_SNR_DB)


def _loss(signal: Signal, rng: np.random.Generator) -> Signal:
    """Lost frames are silence: what the gateway's media clock, and most phones, put there."""
    lost = rng.random(-(-len(signal) // LOSS_FRAME)) < LOSS_RATE
    return np.where(np.repeat(lost, LOSS_FRAME)[: len(signal)], 0.0, signal)


def _tandem(signal: Signal, _: np.random.Generator) -> Signal:
    """μ-law, GSM full rate (06.10, of libsndfile), 16 kHz and back, the telephone band; μ-law comes last as ever."""
    first = mulaw.decode(mulaw.encode(_to_pcm(signal)))
    with io.BytesIO() as file:
        soundfile.write(file, first, RATE, format="WAV", subtype="GSM610")
        file.seek(0)
        # The codec fills its last block.
        coded = soundfile.read(file, dtype="float64")[0][: len(signal)]
    through = soxr.resample(soxr.resample(coded, RATE, 2 * RATE), 2 * RATE, RATE)
    return _band_pass(np.pad(through, (0, max(0, len(signal) - len(through))))[: len(signal)], *TANDEM_BAND_HZ)


def _room(signal: Signal, rng: np.random.Generator) -> Signal:
    """The direct sound and a tail of noise that falls by 60 dB in the reverberation time."""
    count = int(ROOM_RT60_S * RATE)
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: int(ROOM_DELAY_S * RATE)] = 0
    tail *= 10 ** (-ROOM_DIRECT_DB / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    size = len(signal) + count
    through: Signal = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(tail, size), size)[: len(signal)]
    louder = np.sqrt(active_power(signal) / max(active_power(through), 1e-12))
    return through * float(louder)


CLEAN = Condition("clean", "as recorded", _clean)

DISTURBED = (
    Condition("level", f"{LEVEL_DB:.0f} dB", _level),
    Condition("clipping", f"clipped at {CLIP_CREST} × the active RMS", _clipping),
    Condition("band", f"{BAND_HZ[0]:.0f}–{BAND_HZ[1]:.0f} Hz", _band),
    Condition("white", f"white noise, SNR {WHITE_SNR_DB:.0f} dB", _white),
    Condition("babble", f"babble-like noise of {BABBLE_TALKERS} talkers, SNR {BABBLE_SNR_DB:.0f} dB", _babble),
    Condition("loss", f"{100 * LOSS_RATE:.0f} % of frames of 20 ms lost", _loss),
    Condition("tandem", "μ-law, GSM full rate, 16 kHz and back, 300–3300 Hz", _tandem),
    Condition("room", f"reverberation {ROOM_RT60_S} s, {ROOM_DIRECT_DB:.0f} dB below the direct sound", _room),
)

CONDITIONS = {condition.name: condition for condition in (CLEAN, *DISTURBED)}


def disturb(pcm: Pcm, name: str, key: str, seed: int = SEED) -> Pcm:
    """What comes out of a line in condition ``name``, μ-law included; as long as ``pcm``.

    Args:
        pcm: linear PCM, 8 kHz.
        name: of :data:`CONDITIONS`.
        key: what tells this recording's noise from another's, its file's name.
        seed: of all of them.

    Raises:
        KeyError: no such condition.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(key.encode())])
    signal = CONDITIONS[name].apply(pcm.astype(np.float64) / 32768, rng)
    return mulaw.decode(mulaw.encode(_to_pcm(signal)))


def _to_pcm(signal: Signal) -> Pcm:
    return np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16)
