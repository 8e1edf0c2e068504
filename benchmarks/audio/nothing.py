"""Telephone audio in which nobody says anything: every kind that should give no word, as long as wanted.

A kind's audio is a row of stretches, each with a sound drawn anew (another country's tone, another piece of music,
another mouth), at a level drawn from the kind's range, and in one of three cases behind a gap of digital silence. The
same seed gives the same samples. What is missing is voices: babble and singing cannot be made honestly here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.audio import handling, music, noises
from benchmarks.audio.noises import RATE, Signal
from gateway.speech.engine import Pcm

__all__ = ["KINDS", "SEED", "Kind", "play"]

SEED = 20260315

GAP_SHARE = 1 / 3
GAP_S = (0.1, 2.0)
"""Digital silence before a stretch, as a packet network leaves it."""

LINE = (-40.0, -10.0)
"""Peak levels in dBFS of what a line carries on purpose; speech on a telephone peaks at −25 to −3."""
FAINT = (-66.0, -36.0)
"""Of noise: from what a codec puts into pauses to a bad line."""
NEAR = (-40.0, -3.0)
"""Of what is near a microphone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of sound: what makes it, at which peak levels in dBFS, in stretches of how many seconds."""

    name: str
    make: Callable[[int, np.random.Generator], Signal]
    levels: tuple[float, float]
    stretch: tuple[float, float] = (5.0, 25.0)


KINDS: tuple[Kind, ...] = (
    Kind("silence", noises.silence, LINE),
    Kind("comfort noise", noises.comfort, FAINT),
    Kind("white noise", noises.coloured(0), (FAINT[0], LINE[1])),
    Kind("pink noise", noises.coloured(1), (FAINT[0], LINE[1])),
    Kind("brown noise", noises.coloured(2), (FAINT[0], LINE[1])),
    Kind("murmur", noises.murmur, (FAINT[0], LINE[1])),
    Kind("hum", noises.hum, (FAINT[0], LINE[1])),
    Kind("crackle", noises.crackle, NEAR),
    Kind("ringback", noises.ringback, LINE, (10, 40)),
    Kind("busy", noises.busy, LINE),
    Kind("information", noises.information, LINE),
    Kind("dtmf", noises.dtmf, LINE),
    Kind("fax", noises.fax, LINE),
    Kind("chords", music.chords, LINE, (20, 60)),
    Kind("melody", music.melody, LINE, (20, 60)),
    Kind("organ", music.organ, LINE, (20, 60)),
    Kind("strings", music.strings, LINE, (20, 60)),
    Kind("drums", music.drums, LINE, (20, 60)),
    Kind("band", music.together, LINE, (20, 60)),
    Kind("coughs", handling.coughs, NEAR),
    Kind("breaths", handling.breaths, NEAR),
    Kind("throat", handling.throat, NEAR),
    Kind("smacks", handling.smacks, NEAR),
    Kind("typing", handling.typing, NEAR),
    Kind("doors", handling.doors, NEAR),
    Kind("paper", handling.paper, NEAR),
)


def play(kind: Kind, seconds: float, seed: int = SEED) -> Pcm:
    """Audio of a kind, 8 kHz."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode())])
    samples = int(seconds * RATE)
    parts: list[Signal] = []
    count = 0
    while count < samples:
        if rng.random() < GAP_SHARE:
            parts.append(np.zeros(int(rng.uniform(*GAP_S) * RATE)))
        # Half seconds: Fourier transforms of any other length may take many times as long.
        sound = kind.make(int(rng.uniform(*kind.stretch) * 2) * RATE // 2, rng)
        loud = 10 ** (rng.uniform(*kind.levels) / 20)
        parts.append(sound * loud / max(float(np.abs(sound).max()), 1e-9))
        count = sum(map(len, parts))
    return np.clip(np.rint(np.concatenate(parts)[:samples] * 32768), -32768, 32767).astype(np.int16)
