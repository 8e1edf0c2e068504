"""A sound file as the tracks of a call: all of it at once, or piece by piece, however long it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from gateway.errors import UsageError
from gateway.participants import Track
from gateway.speech.engine import Pcm

__all__ = ["SUFFIXES", "Recording", "Source", "load", "probe"]

RATE = 8000

_HEADERLESS = {".ulaw": "ULAW", ".ul": "ULAW", ".alaw": "ALAW", ".al": "ALAW"}
"""G.711 without a header, as telephone systems store it: 8 kHz, one channel."""

_WITH_HEADER = (
    ".wav", ".wave", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3",
    ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf",
)  # fmt: skip

SUFFIXES = frozenset(_WITH_HEADER) | frozenset(_HEADERLESS)
"""What a sound file's name ends with, lower case; others are read too, if they are named."""

# No telephone records less; libsndfile and soxr both allow more than any device does.
_RATES = range(4000, 384_001)

_BLOCK_S = 1
# So much less than the header promises may be there: MP3 counts in frames of up to 72 ms.
_SLACK_S = 0.2


@dataclass(frozen=True, slots=True)
class Recording:
    """Linear PCM of each track, 8 kHz and 16 bit; all tracks are of one length."""

    tracks: Mapping[Track, Pcm]

    @property
    def duration_ms(self) -> int:
        """Length of the call."""
        return max(len(pcm) for pcm in self.tracks.values()) * 1000 // RATE


@dataclass(frozen=True, slots=True)
class Source:
    """A sound file that can be read as a call.

    ``seconds`` is what its header promises. One channel is the inbound track; of two, left is inbound, right outbound.
    """

    path: Path
    channels: int
    seconds: float

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks that it has."""
        return tuple(Track)[: self.channels]

    def read(self, track: Track) -> Iterator[Pcm]:
        """One track at 8 kHz, some second at a time; each reader has the file open for itself.

        Raises:
            UsageError: the file cannot be read to its end.
        """
        channel = self.tracks.index(track)
        frames = 0
        with _opened(self.path) as file:
            resampler = None
            if file.samplerate != RATE:
                resampler = soxr.ResampleStream(file.samplerate, RATE, 1, dtype="float32")
            while len(block := file.read(_BLOCK_S * file.samplerate, dtype="float32", always_2d=True)):
                frames += len(block)
                samples = np.ascontiguousarray(block[:, channel])
                if resampler is not None:
                    samples = resampler.resample_chunk(samples)
                yield _pcm(samples)
            if resampler is not None:
                yield _pcm(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            seconds = frames / file.samplerate
        if seconds < self.seconds - _SLACK_S:
            raise UsageError(f"{self.path}: is cut off or damaged: {seconds:.1f} s of {self.seconds:.1f} s can be read")


def probe(path: Path) -> Source:
    """Look at a sound file's header.

    Raises:
        UsageError: no such file, no sound file, more than two channels, a rate that is none, or nothing in it.
    """
    with _opened(path) as file:
        if file.channels > 2:
            raise UsageError(
                f"{path}: {file.channels} channels; a call has one (inbound) or two (left inbound, right outbound)"
            )
        if file.samplerate not in _RATES:
            raise UsageError(f"{path}: {file.samplerate} Hz; must be {_RATES.start} to {_RATES.stop - 1}")
        if not file.frames:
            raise UsageError(f"{path}: holds no audio")
        return Source(path, file.channels, file.frames / file.samplerate)


def load(path: Path) -> Recording:
    """Read a whole sound file: one channel is the inbound track; of two, left is inbound and right outbound.

    Other rates than 8 kHz are resampled.

    Raises:
        UsageError: as :func:`probe` and :meth:`Source.read`.
    """
    source = probe(path)
    return Recording({track: np.concatenate(list(source.read(track))) for track in source.tracks})


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; name a recording with one or two channels (WAV, FLAC, MP3 …)")
    if not path.stat().st_size:
        raise UsageError(f"{path}: is empty (0 bytes)")
    subtype = _HEADERLESS.get(path.suffix.lower())
    form = {} if subtype is None else {"format": "RAW", "subtype": subtype, "samplerate": RATE, "channels": 1}
    try:
        file = soundfile.SoundFile(path, **form)
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path}: no sound file that can be read ({error.error_string})") from error
    with file:
        try:
            yield file
        except soundfile.LibsndfileError as error:
            raise UsageError(f"{path}: is damaged ({error.error_string})") from error


def _pcm(samples: NDArray[np.float32]) -> Pcm:
    """16 bit; what a file of floats may hold besides numbers is silence."""
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    pcm: Pcm = (np.clip(finite, -1, 1 - 1 / 32768) * 32768).round().astype(np.int16)
    return pcm
