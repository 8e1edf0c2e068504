"""Where speech ends in a recording, found offline by energy: what latency is measured from.

The method owes nothing to the gateway's voice activity, so that the gateway does not measure itself. Each channel by
itself, in 10 ms frames:

1. the line's noise is the 10th percentile of the frames' levels, or −70 dBFS if that is higher;
2. speech begins with a frame 20 dB above the noise, or above −45 dBFS if that is higher, goes on while frames are
   within 10 dB below that, and is at least 50 ms of them;
3. it has ended when 200 ms in a row are below; the end is that of the last frame above.

A pause of less than that is no end; one of more need not end an utterance of the gateway: the labels are candidates,
and each transcript is matched with the one nearest to its own end.

A label file is JSON: ``{"ends": {"inbound": [ms, …], "outbound": [ms, …]}}``, or a reference transcript with
``turns``, whose ``customer`` is inbound and whose ``agent`` is outbound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson

from gateway.errors import UsageError
from gateway.participants import Track
from gateway.peers.recording import Recording
from gateway.speech.engine import Pcm

__all__ = ["Ends", "find", "load", "speech_ends"]

Ends = Mapping[Track, tuple[int, ...]]
"""For each track where speech ends, in ms from the recording's first sample, rising."""

FRAME_MS = 10
NOISE_PERCENTILE = 10
NOISE_FLOOR_DBFS = -70.0
ABOVE_NOISE_DB = 20.0
QUIETEST_SPEECH_DBFS = -45.0
HYSTERESIS_DB = 10.0
MIN_SPEECH_FRAMES = 5
PAUSE_FRAMES = 20


def speech_ends(pcm: Pcm) -> tuple[int, ...]:
    """Where speech ends in one channel, by the method above; PCM is 8 kHz, shape ``(samples,)``."""
    size = 8 * FRAME_MS
    frames = (pcm[: len(pcm) // size * size].astype(np.float64) / 32768).reshape(-1, size)
    if not len(frames):
        return ()
    levels = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    noise = max(float(np.percentile(levels, NOISE_PERCENTILE)), NOISE_FLOOR_DBFS)
    begin = max(noise + ABOVE_NOISE_DB, QUIETEST_SPEECH_DBFS)
    ends, above, last = [], 0, -1
    for index, level in enumerate(levels):
        if level >= (begin - HYSTERESIS_DB if above else begin):
            above, last = above + 1, index
        elif above and index - last >= PAUSE_FRAMES:
            if above >= MIN_SPEECH_FRAMES:
                ends.append((last + 1) * FRAME_MS)
            above = 0
    if above >= MIN_SPEECH_FRAMES:
        ends.append((last + 1) * FRAME_MS)
    return tuple(ends)


def find(recording: Recording) -> Ends:
    """The ends in every track of a recording."""
    return {track: speech_ends(pcm) for track, pcm in recording.tracks.items()}


def load(path: Path) -> Ends:
    """Read a label file.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        content = orjson.loads(path.read_bytes())
        if "turns" in content:
            track = {"customer": Track.INBOUND, "agent": Track.OUTBOUND}
            pairs = [(track[turn["speaker"]], int(turn["end_ms"])) for turn in content["turns"]]
        else:
            pairs = [(Track(name), int(end)) for name, ends in content["ends"].items() for end in ends]
    except OSError as error:
        raise UsageError(f"--labels {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'--labels {path}: must be JSON like {{"ends": {{"inbound": [1200], "outbound": []}}}}'
        ) from error
    return {track: tuple(sorted(end for of, end in pairs if of is track)) for track in Track}
