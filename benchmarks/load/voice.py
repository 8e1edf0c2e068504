"""What a call of the load generator puts on the wire, byte for byte: a pure function of its script. No I/O, no clock.

The words are Twilio's, as :mod:`gateway.peers.emitter` has them; here they are WebSocket frames, made at little cost.
``benchmarks/native/sender.pyx`` makes the same bytes.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import UsageError
from gateway.peers.emitter import FRAME_MS, JITTER_MS

__all__ = ["CODED_BYTES", "FRAME_BYTES", "MAX_SID", "Script", "Sound", "Voice", "draw", "frame"]

FRAME_BYTES = 8 * FRAME_MS
CODED_BYTES = 216
"""Base64 of a frame."""
MAX_SID = 64
MAX_ODD = 2 * FRAME_BYTES
MAX_MS = 10**9
_MASK64 = 2**64 - 1


def frame(text: bytes, key: bytes = bytes(4)) -> bytes:
    """A final text frame from a client (RFC 6455 §5.2); ``text`` is under 64 KiB."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    if any(key):
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "little")
        text = (int.from_bytes(text, "little") ^ mask).to_bytes(size, "little")
    return head + key + text


def draw(state: int) -> tuple[int, int]:
    """The next state and number of a 64-bit generator (SplitMix64, Steele et al. 2014)."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK64
    value = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return state, value ^ (value >> 31)


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording as it is sent, shared by all calls; every track has the same number of frames of 20 ms.

    Args:
        tracks: their names.
        ulaw: their μ-law, and the first frame once more behind the last, since odd payloads reach beyond theirs.
        coded: base64 of each frame, one after another.
        quiet: a byte for each frame, 1 where a line that does not send silence has nothing to send.
    """

    tracks: tuple[str, ...]
    ulaw: tuple[bytes, ...]
    coded: tuple[bytes, ...]
    quiet: tuple[bytes, ...]

    @classmethod
    def of(cls, tracks: Sequence[str], ulaw: Sequence[bytes], quiet: Sequence[bytes] = ()) -> Sound:
        """From the μ-law of each track, filled up with silence; ``quiet`` may be shorter than the recording.

        Raises:
            UsageError: there is no audio, or there are more tracks than two.
        """
        frames = -(-max(map(len, ulaw), default=0) // FRAME_BYTES)
        if not frames or len(ulaw) > 2 or len(ulaw) != len(tracks):
            raise UsageError("a recording to load with has one track or two, and some audio")
        padded = [data.ljust(frames * FRAME_BYTES, b"\xff") for data in ulaw]
        cuts = range(0, frames * FRAME_BYTES, FRAME_BYTES)
        coded = [b"".join(base64.b64encode(data[at : at + FRAME_BYTES]) for at in cuts) for data in padded]
        flags = [(quiet[at] if at < len(quiet) else b"")[:frames].ljust(frames, b"\0") for at in range(len(ulaw))]
        wrapped = tuple(data + data[:FRAME_BYTES] for data in padded)
        return cls(tuple(map(str, tracks)), wrapped, tuple(coded), tuple(flags))

    @property
    def frames(self) -> int:
        """Its length in frames of 20 ms."""
        return len(self.quiet[0])


@dataclass(frozen=True, slots=True)
class Script:
    """One call's media.

    Args:
        sound: what is said, over and over.
        stream_sid: of the stream, 1 to 64 ASCII letters and digits.
        first: the frame of the recording that the call begins with.
        frames: how many of each track are sent.
        stamp: the first timestamp, ms.
        seed: of jitter, losses, sizes and masking keys.
        jitter_ms: timestamps are this far off the grid at the most.
        drop: share of the messages that get lost on their way to Twilio, 0 to 1.
        send_silence: whether quiet frames are sent.
        odd: payloads have 0 to 320 bytes, whatever is due.
        stall_at_ms: nothing is sent from here …
        stall_ms: … for so long, then all of it at once.
    """

    sound: Sound
    stream_sid: bytes
    first: int
    frames: int
    stamp: int = 100
    seed: int = 0
    jitter_ms: int = JITTER_MS
    drop: float = 0.0
    send_silence: bool = True
    odd: bool = False
    stall_at_ms: int = 0
    stall_ms: int = 0

    def __post_init__(self) -> None:
        sid = self.stream_sid
        if not 1 <= len(sid) <= MAX_SID or not sid.isalnum():
            raise UsageError(f"a stream SID has 1 to {MAX_SID} letters and digits")
        if not 0 <= self.first < self.sound.frames or not 0 <= self.frames <= MAX_MS:
            raise UsageError("a call begins within its recording, and has no negative length")
        times = (self.stamp, self.jitter_ms, self.stall_at_ms, self.stall_ms)
        if not all(0 <= value <= MAX_MS for value in times) or not 0 <= self.drop <= 1:
            raise UsageError(f"times must be 0 to {MAX_MS} ms, a share 0 to 1")

    @property
    def drop_limit(self) -> int:
        """32-bit numbers below this are losses."""
        return int(self.drop * 2**32)


class Voice:
    """The media frames of one call, one 20 ms after another."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._dice = script.seed & _MASK64
        self._chunks = [0] * len(script.sound.tracks)
        self.sequence = 1
        """``sequenceNumber`` sent last; the start message had 1."""
        self.sent = 0
        """20 ms frames given out so far, of each track."""

    @property
    def due_us(self) -> int:
        """When the next frames are due, microseconds from the first."""
        return self.due_of(self.sent)

    def due_of(self, index: int) -> int:
        """When a frame is due, microseconds from the first."""
        at = FRAME_MS * index
        begin, end = self.script.stall_at_ms, self.script.stall_at_ms + self.script.stall_ms
        return 1000 * (end if begin <= at < end else at)

    def next(self) -> list[bytes]:
        """The WebSocket frames of the next 20 ms, one for each track that has something to send."""
        script, sound = self.script, self.script.sound
        index = (script.first + self.sent) % sound.frames
        grid = script.stamp + FRAME_MS * self.sent
        frames = []
        for track, name in enumerate(sound.tracks):
            self._dice, dice = draw(self._dice)
            self._dice, key = draw(self._dice)
            if dice & 0xFFFFFFFF < script.drop_limit or (not script.send_silence and sound.quiet[track][index]):
                continue
            self.sequence += 1
            self._chunks[track] += 1
            jitter = ((dice >> 32 & 0xFFFF) * (2 * script.jitter_ms + 1) >> 16) - script.jitter_ms if self.sent else 0
            text = (
                b'{"event":"media","sequenceNumber":"%d","media":{"track":"%b","chunk":"%d","timestamp":"%d",'
                b'"payload":"%b"},"streamSid":"%b"}'
            ) % (
                self.sequence,
                name.encode(),
                self._chunks[track],
                max(grid + jitter, 0),
                self._payload(track, index, dice >> 48),
                script.stream_sid,
            )
            frames.append(frame(text, (key & 0xFFFFFFFF).to_bytes(4, "little")))
        self.sent += 1
        return frames

    def _payload(self, track: int, index: int, dice: int) -> bytes:
        sound = self.script.sound
        if not self.script.odd:
            return sound.coded[track][index * CODED_BYTES : (index + 1) * CODED_BYTES]
        begin = index * FRAME_BYTES
        return base64.b64encode(sound.ulaw[track][begin : begin + dice % (MAX_ODD + 1)])
