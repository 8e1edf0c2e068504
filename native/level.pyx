"""Level of an audio frame; ``gateway/_native/level_py.py`` specifies it."""

import numpy as np

from libc.math cimport log10

SILENCE_DB = -96.0

cdef double FLOOR = -96.0
# 0 dBFS is the RMS of a full-scale square wave, 32768.
cdef double FULL_SCALE_SQUARED = 32768.0 * 32768.0


cdef double level_of(const short* samples, Py_ssize_t count) noexcept nogil:
    """dBFS of the RMS around the mean."""
    cdef long long total = 0
    cdef long long squares = 0
    cdef int sample
    cdef double power, level
    cdef Py_ssize_t index
    if count == 0:
        return FLOOR
    for index in range(count):
        sample = samples[index]
        total += sample
        squares += sample * sample
    power = (<double>squares - <double>total * <double>total / <double>count) / <double>count
    if power <= 0.0:
        return FLOOR
    level = 10.0 * log10(power / FULL_SCALE_SQUARED)
    return level if level > FLOOR else FLOOR


def frame_level_db(const short[::1] pcm not None):
    """Level of one frame in dBFS; −96.0 for silence."""
    if pcm.shape[0] == 0:
        return FLOOR
    return level_of(&pcm[0], pcm.shape[0])


def frame_levels_db(const short[:, ::1] frames not None):
    """Levels of many frames, shape ``(frames, samples)`` to ``(frames,)``."""
    cdef Py_ssize_t count = frames.shape[0]
    cdef Py_ssize_t samples = frames.shape[1]
    cdef Py_ssize_t row
    levels = np.full(count, FLOOR, dtype=np.float32)
    cdef float[::1] out = levels
    if samples == 0 or count == 0:
        return levels
    with nogil:
        for row in range(count):
            out[row] = <float>level_of(&frames[row, 0], samples)
    return levels


cdef class LevelGate:
    """Which frames the voice-activity model is asked about: all but those in a long quiet."""

    cdef double _gate_db
    cdef long long _hold
    cdef long long _quiet

    def __cinit__(self, double gate_db, long long hold_frames):
        if hold_frames < 0:
            raise ValueError("hold_frames must not be negative")
        self._gate_db = gate_db
        self._hold = hold_frames
        self._quiet = 0

    def admit(self, const float[::1] levels not None):
        """Whether the model is asked about each of the next frames."""
        admitted = np.empty(levels.shape[0], dtype=np.bool_)
        cdef unsigned char[::1] out = admitted.view(np.uint8)
        cdef Py_ssize_t index
        for index in range(levels.shape[0]):
            out[index] = self._asks(levels[index])
        return admitted

    def look(self, const short[:, ::1] frames not None):
        """Levels of frames, and whether the model is asked about each."""
        cdef Py_ssize_t samples = frames.shape[1]
        cdef Py_ssize_t row
        cdef float level_db
        levels = []
        asked = []
        for row in range(frames.shape[0]):
            level_db = <float>(level_of(&frames[row, 0], samples) if samples else FLOOR)
            levels.append(level_db)
            asked.append(self._asks(level_db))
        return levels, asked

    cdef bint _asks(self, float level_db) noexcept:
        if level_db >= self._gate_db:
            self._quiet = 0
        elif self._quiet <= self._hold:
            self._quiet += 1
        return self._quiet <= self._hold

    def reset(self):
        """Forget the quiet so far."""
        self._quiet = 0
