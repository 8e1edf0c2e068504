"""Level of an audio frame: the specification of the compiled kernel ``level``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["SILENCE_DB", "LevelGate", "frame_level_db", "frame_levels_db"]

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
    _check(pcm, 1, np.int16)
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
    _check(frames, 2, np.int16)
    count, samples = frames.shape
    totals = frames.sum(axis=1, dtype=np.int64).tolist()
    squares = np.square(frames, dtype=np.int64).sum(axis=1).tolist()
    levels = [_level(totals[row], squares[row], samples) for row in range(count)]
    return np.array(levels, dtype=np.float32)


class LevelGate:
    """Which frames the voice-activity model is asked about: all but those in a long quiet.

    The model is recurrent and wants to hear the pauses between words. A gate that closes at once moves most of its
    borders; one that stays open for a second of quiet leaves them nearly as they are (``benchmarks/bench_vad.py``).

    Args:
        gate_db: a frame below this level is quiet, dBFS.
        hold_frames: quiet frames in a row that the model still is asked about, at least 0.

    Raises:
        ValueError: ``hold_frames`` is negative.
    """

    __slots__ = ("_gate_db", "_hold", "_quiet")

    def __init__(self, gate_db: float, hold_frames: int) -> None:
        if hold_frames < 0:
            msg = "hold_frames must not be negative"
            raise ValueError(msg)
        self._gate_db = float(gate_db)
        self._hold = hold_frames
        self._quiet = 0

    def admit(self, levels: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the model is asked about each of the next frames; any chunking admits the same ones.

        Args:
            levels: dBFS, shape ``(frames,)``, contiguous (NaN counts as quiet).

        Returns:
            Shape ``(frames,)``.

        Raises:
            ValueError: not one-dimensional, not contiguous, or not float32.
        """
        _check(levels, 1, np.float32)
        admitted = np.empty(len(levels), np.bool_)
        for index, level_db in enumerate(levels.tolist()):
            # A count that stops just behind the hold: it needs no more, and a silent track may last for days.
            self._quiet = 0 if level_db >= self._gate_db else min(self._quiet + 1, self._hold + 1)
            admitted[index] = self._quiet <= self._hold
        return admitted

    def look(self, frames: NDArray[np.int16]) -> tuple[list[float], list[bool]]:
        """Levels of frames, and whether the model is asked about each: both steps for one track's few frames at once.

        Args:
            frames: 16-bit samples, shape ``(frames, samples)``, contiguous.

        Returns:
            As :func:`frame_levels_db` and :meth:`admit` have it, as lists: for a frame or two an array costs more than
            what is in it.

        Raises:
            ValueError: not two-dimensional, not contiguous, or not int16.
        """
        levels = frame_levels_db(frames)
        return levels.tolist(), self.admit(levels).tolist()

    def reset(self) -> None:
        """Forget the quiet so far."""
        self._quiet = 0


def _level(total: int, squares: int, samples: int) -> float:
    if samples == 0:
        return SILENCE_DB
    power = (float(squares) - float(total) * float(total) / samples) / samples
    if power <= 0.0:
        return SILENCE_DB
    level = 10.0 * math.log10(power / _FULL_SCALE_SQUARED)
    return level if level > SILENCE_DB else SILENCE_DB


def _check(values: object, dimensions: int, kind: type[np.generic]) -> None:
    if not isinstance(values, np.ndarray):
        msg = f"a {kind.__name__} array is needed"
        raise TypeError(msg)
    if values.ndim != dimensions or values.dtype != kind or not values.flags.c_contiguous:
        msg = f"a contiguous {kind.__name__} array of {dimensions} dimension(s) is needed"
        raise ValueError(msg)
