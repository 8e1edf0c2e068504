"""A WAV file as the two tracks of a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from gateway.errors import UsageError
from gateway.participants import Track
from gateway.speech.engine import Pcm

__all__ = ["Recording", "load"]

RATE = 8000


@dataclass(frozen=True, slots=True)
class Recording:
    """Linear PCM of each track, 8 kHz and 16 bit; all tracks are of one length."""

    tracks: Mapping[Track, Pcm]

    @property
    def duration_ms(self) -> int:
        """Length of the call."""
        return max(len(pcm) for pcm in self.tracks.values()) * 1000 // RATE


def load(path: Path) -> Recording:
    """Read a sound file: one channel is the inbound track; of two, left is inbound and right outbound.

    Other rates than 8 kHz are resampled.

    Raises:
        UsageError: no such file, no sound file, more than two channels, or nothing in it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; name a WAV file, 8 kHz with one or two channels")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path}: no sound file that can be read ({error.error_string})") from error
    channels = samples.shape[1]
    if channels > 2:
        raise UsageError(f"{path}: {channels} channels; a call has one (inbound) or two (left inbound, right outbound)")
    if not len(samples):
        raise UsageError(f"{path}: holds no audio")
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    pcm = (np.clip(samples, -1, 1 - 1 / 32768) * 32768).round().astype(np.int16)
    return Recording({track: np.ascontiguousarray(pcm[:, index]) for index, track in enumerate(list(Track)[:channels])})
