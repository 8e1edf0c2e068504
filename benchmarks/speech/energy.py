"""Where somebody speaks in a recording, found offline by energy; owes nothing to the gateway's voice activity.

Each channel by itself, in 10 ms frames:

1. the line's noise is the 10th percentile of the frames' levels, or −70 dBFS if that is higher; the speaker's level is
   the 98th percentile;
2. speech begins with a frame 20 dB above the noise and at most 25 dB below the speaker, or above −45 dBFS if that is
   higher, and goes on while frames are within 10 dB below that;
3. it has ended when 200 ms in a row are below; the end is that of the last frame above. Less than 100 ms is a click.

Both levels count: on a quiet line the telephone's own tail (echo, the slow release of a noise suppressor) stays 30 dB
above the noise for a second, but it is 35 dB below the speaker.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.speech.engine import Pcm

__all__ = ["FRAME_MS", "Run", "levels", "runs", "speech_ends", "thresholds"]

FRAME_MS = 10
NOISE_PERCENTILE = 10
NOISE_FLOOR_DBFS = -70.0
ABOVE_NOISE_DB = 20.0
SPEAKER_PERCENTILE = 98
BELOW_SPEAKER_DB = 25.0
QUIETEST_SPEECH_DBFS = -45.0
HYSTERESIS_DB = 10.0
MIN_SPEECH_FRAMES = 10
PAUSE_FRAMES = 20


class Run(NamedTuple):
    """Speech without a pause of 200 ms, in ms from the recording's first sample."""

    begin: int
    end: int


def levels(pcm: Pcm) -> NDArray[np.float64]:
    """Level of each whole frame in dBFS, at least −120; PCM is 8 kHz, shape ``(samples,)``."""
    size = 8 * FRAME_MS
    frames = (pcm[: len(pcm) // size * size].astype(np.float64) / 32768).reshape(-1, size)
    found: NDArray[np.float64] = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    return found


def thresholds(frames: NDArray[np.float64]) -> tuple[float, float]:
    """The levels above which speech begins, and goes on; of at least one frame."""
    noise, speaker = np.percentile(frames, (NOISE_PERCENTILE, SPEAKER_PERCENTILE))
    above_noise = max(float(noise), NOISE_FLOOR_DBFS) + ABOVE_NOISE_DB
    begin = max(above_noise, float(speaker) - BELOW_SPEAKER_DB, QUIETEST_SPEECH_DBFS)
    return begin, begin - HYSTERESIS_DB


def runs(pcm: Pcm) -> tuple[Run, ...]:
    """The speech of one channel, by the method above."""
    frames = levels(pcm)
    if not len(frames):
        return ()
    begin, on = thresholds(frames)
    found: list[Run] = []
    first, last = -1, -1
    for index, level in enumerate([*frames, *[-np.inf] * PAUSE_FRAMES]):
        if first < 0 and level >= begin:
            first = last = index
        elif first >= 0 and level >= on:
            last = index
        elif first >= 0 and index - last >= PAUSE_FRAMES:
            if last + 1 - first >= MIN_SPEECH_FRAMES:
                found.append(Run(first * FRAME_MS, (last + 1) * FRAME_MS))
            first = -1
    return tuple(found)


def speech_ends(pcm: Pcm) -> tuple[int, ...]:
    """Where speech ends in one channel, in ms."""
    return tuple(run.end for run in runs(pcm))
