"""Level of an audio frame: the specification of the compiled kernel ``level``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["SILENCE_DB", "frame_level_db", "frame_levels_db"]

SILENCE_DB = -96.0
"""Floor of the scale: 16 bits span 96 dB."""

# 0 dBFS is the RMS of a full-scale square wave, 32768.
_FULL_SCALE_SQUARED = 32768.0 * 32768.0


def frame_level_db(pcm: NDArray[np.int16]) -> float:
    """Level of one frame in dBFS: RMS around the frame's own mean, so that a DC offset counts as silence.

    Args:
        pcm: 16-bit samples, shape ``(samples,)``, contiguous.

    Returns:
        −96.0 (:data:`SILENCE_DB`) for silence or an empty frame, up to 0.0 for a full-scale square wave.

    Raises:
        ValueError: not one-dimensional, not contiguous, or not int16.
    """
    _check(pcm, 1)
    return _level(int(pcm.sum(dtype=np.int64)), int(np.square(pcm, dtype=np.int64).sum()), len(pcm))


def frame_levels_db(frames: NDArray[np.int16]) -> NDArray[np.float32]:
    """Levels of many frames at once.

    Args:
        frames: 16-bit samples, shape ``(frames, samples)``, contiguous.

    Returns:
        dBFS as in :func:`frame_level_db`, shape ``(frames,)``.

    Raises:
        ValueError: not two-dimensional, not contiguous, or not int16.
    """
    _check(frames, 2)
    count, samples = frames.shape
    totals = frames.sum(axis=1, dtype=np.int64).tolist()
    squares = np.square(frames, dtype=np.int64).sum(axis=1).tolist()
    levels = [_level(totals[row], squares[row], samples) for row in range(count)]
    return np.array(levels, dtype=np.float32)


def _level(total: int, squares: int, samples: int) -> float:
    if samples == 0:
        return SILENCE_DB
    power = (float(squares) - float(total) * float(total) / samples) / samples
    if power <= 0.0:
        return SILENCE_DB
    level = 10.0 * math.log10(power / _FULL_SCALE_SQUARED)
    return level if level > SILENCE_DB else SILENCE_DB


def _check(pcm: object, dimensions: int) -> None:
    if not isinstance(pcm, np.ndarray):
        msg = "an int16 array is needed"
        raise TypeError(msg)
    if pcm.ndim != dimensions or pcm.dtype != np.int16 or not pcm.flags.c_contiguous:
        msg = f"a contiguous int16 array of {dimensions} dimension(s) is needed"
        raise ValueError(msg)
