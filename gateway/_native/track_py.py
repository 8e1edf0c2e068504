"""One track of a stream, its media clock and PCM queue: twin and specification of ``gateway._native.track``.

All positions are *samples of stream time*: Twilio's ``timestamp`` in ms, times 8. The clock follows the
timestamps:

* within ±10 ms of the expected position media are contiguous (Twilio's grid jitters by about 2 ms);
* a gap up to 2 s is filled with zeros; a longer one is a *jump*, which a reader takes by
  :meth:`Track.take_jump`;
* a timestamp more than 24 h ahead of the position is as good as none;
* media that begin up to 1 s before the position overlap what is there: they are appended, the position runs
  ahead;
* media that begin earlier still *re-anchor*: from then on a shift keeps stream time contiguous.

With the gate closed only clock and counters move. With it open, PCM waits in a bounded queue; what does not
fit is dropped, newest first, and leaves a jump.
"""

from __future__ import annotations

from collections import deque
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from gateway._native.mulaw_py import decode

__all__ = ["JITTER", "MAX_AHEAD", "MAX_FILL", "MAX_JUMPS", "MAX_TIMESTAMP_MS", "REANCHOR", "Track", "live"]

JITTER = 80
"""Samples (10 ms) by which media may miss the expected position and still be contiguous."""
MAX_FILL = 16_000
"""Samples (2 s) of a gap that are filled; a longer gap is a jump."""
MAX_AHEAD = 24 * 3600 * 8_000
"""Samples (24 h, the longest that Twilio lets a call last) by which a timestamp may lie ahead of the position."""
REANCHOR = 8_000
"""Samples (1 s) by which media may lie behind the position before stream time is re-anchored."""
ANCHOR_WINDOW = 8_000
"""Samples (1 s) of stream time in which the anchor is sought."""
MAX_JUMPS = 32
"""Jumps that the queue holds; with more it counts as full."""
MAX_TIMESTAMP_MS = 10**15 - 1
"""A timestamp beyond this is as good as none."""
MAX_POSITION = 2**60
"""A timestamp that would lead beyond this is as good as none."""

_MASK = 2**64 - 1


class Track:
    """The media clock and PCM queue of one track; owned by one thread at a time.

    Args:
        capacity_samples: most samples that wait in the queue.
        checksum: whether the PCM placed is summed.
        keep_pcm: whether the PCM placed is queued.

    Raises:
        ValueError: the capacity is not positive.
    """

    def __init__(self, capacity_samples: int = 64_000, checksum: bool = False, keep_pcm: bool = True) -> None:
        if capacity_samples < 1:
            raise ValueError(f"capacity_samples must be at least 1, not {capacity_samples}")
        self._capacity = capacity_samples
        self._checksum = checksum
        self._keep_pcm = keep_pcm
        self._base = 0
        # Segments of contiguous PCM, oldest first: (position of the first sample, PCM). Between two lies a
        # jump.
        self._segments: deque[tuple[int, NDArray[np.int16]]] = deque()
        self._empty = np.zeros(0, np.int16)
        self._stored = 0
        self._lost = False
        self._sums = (0, 0)
        self.position = 0
        self.first_position: int | None = None
        self.anchor_ms: int | None = None
        self.last_media_ms = 0
        self.gate_open = False
        self.messages = 0
        self.received_samples = 0
        self.filled_samples = 0
        self.overlap_samples = 0
        self.gated_samples = 0
        self.dropped_samples = 0
        self.reanchors = 0
        self._segments.append((0, self._empty))
        _live.add(self)

    @property
    def newest_ms(self) -> int:
        """The next write position in ms of stream time."""
        return self.position // 8

    @property
    def read_position(self) -> int:
        """Position of the next sample that :meth:`read` gives."""
        return self._segments[0][0]

    @property
    def jump_pending(self) -> bool:
        """Whether nothing can be read before a jump is taken."""
        return len(self._segments) > 1 and not len(self._segments[0][1])

    @property
    def jump_queued(self) -> bool:
        """Whether a jump lies behind what :meth:`available` counts; it may still be preceded by audio."""
        return len(self._segments) > 1

    def place(self, timestamp_ms: int, ulaw: bytes, now_ms: int) -> None:
        """Put one message's audio on the clock.

        Args:
            timestamp_ms: Twilio's time of the first sample; negative if the message has none, which puts it
                at the current position.
            ulaw: μ-law bytes, one a sample; any number of them.
            now_ms: when it arrived, on a monotonic clock.

        Raises:
            TypeError: ``ulaw`` is not bytes.
        """
        if not isinstance(ulaw, bytes):
            raise TypeError(f"μ-law data must be bytes, not {type(ulaw).__name__}")
        self.messages += 1
        self.last_media_ms = now_ms
        start = self._start(timestamp_ms)
        if self.first_position is None:
            self.first_position = self.position = start
            self._segments[0] = (start, self._empty)
        ahead = start - self.position
        if ahead > MAX_AHEAD:
            # One broken timestamp must not carry the track away from all that follow.
            start, ahead = self.position, 0
        elif ahead < -REANCHOR:
            self._base -= ahead
            self.reanchors += 1
            start, ahead = self.position, 0
        self._anchor(start, now_ms)
        if ahead < -JITTER:
            self.overlap_samples += min(-ahead, len(ulaw))
        elif ahead > JITTER:
            self._skip(ahead)
        self._append(ulaw)

    def _start(self, timestamp_ms: int) -> int:
        """Position at which a message says that it begins."""
        if not 0 <= timestamp_ms <= MAX_TIMESTAMP_MS:
            return self.position
        start = timestamp_ms * 8 + self._base
        return start if start <= MAX_POSITION else self.position

    def _anchor(self, start: int, now_ms: int) -> None:
        first = self.first_position or 0
        if max(start, self.position) - first >= ANCHOR_WINDOW:
            return
        candidate = now_ms - start // 8
        if self.anchor_ms is None or candidate < self.anchor_ms:
            self.anchor_ms = candidate

    def _skip(self, samples: int) -> None:
        """Move over a gap: by zeros, or by a jump."""
        if not self.gate_open:
            self.position += samples
        elif samples <= MAX_FILL:
            self.filled_samples += samples
            self._put(np.zeros(samples, np.int16))
        else:
            self.position += samples
            self._lost = True

    def _append(self, ulaw: bytes) -> None:
        if self.gate_open:
            self.received_samples += len(ulaw)
            self.dropped_samples += self._put(decode(ulaw))
        else:
            self.gated_samples += len(ulaw)
            self.position += len(ulaw)

    def _put(self, pcm: NDArray[np.int16]) -> int:
        """Sum and queue PCM at the position, which moves on; the number of samples that did not fit."""
        at, count = self.position, len(pcm)
        self.position += count
        if self._checksum:
            self._sum(pcm)
        if not self._keep_pcm or not count:
            return 0
        if self._lost:
            # One place more than jumps, so that a full list of jumps drops instead of growing.
            if len(self._segments) > MAX_JUMPS or self._stored == self._capacity:
                return count
            self._segments.append((at, self._empty))
            self._lost = False
        fits = min(count, self._capacity - self._stored)
        start, queued = self._segments[-1]
        self._segments[-1] = (start, np.concatenate((queued, pcm[:fits])))
        self._stored += fits
        self._lost = fits < count
        return count - fits

    def _sum(self, pcm: NDArray[np.int16]) -> None:
        samples, count = pcm.astype(np.int64), len(pcm)
        a, b = self._sums
        weighted = int(np.dot(samples, np.arange(count, 0, -1, dtype=np.int64)))
        self._sums = ((a + int(samples.sum())) & _MASK, (b + count * a + weighted) & _MASK)

    def open_gate(self) -> None:
        """Take audio from the current position on, with an empty queue and the per-start counters at zero."""
        self.gate_open = True
        self.received_samples = self.filled_samples = 0
        self._sums = (0, 0)
        self._lost = False
        self._segments.clear()
        self._segments.append((self.position, self._empty))
        self._stored = 0

    def close_gate(self) -> None:
        """Take no more audio; what is queued stays readable."""
        self.gate_open = False

    def available(self) -> int:
        """Samples that can be read before the next jump."""
        return len(self._segments[0][1])

    def read(self, count: int) -> NDArray[np.int16]:
        """The next ``count`` samples, a copy.

        Raises:
            ValueError: ``count`` is negative, or more than :meth:`available`.
        """
        position, queued = self._segments[0]
        if not 0 <= count <= len(queued):
            raise ValueError(f"can read 0..{len(queued)} samples, not {count}")
        self._segments[0] = (position + count, queued[count:])
        self._stored -= count
        return queued[:count].copy()

    def take_jump(self) -> int:
        """Go over the jump that lies next; the new :attr:`read_position`.

        Raises:
            ValueError: no jump is pending.
        """
        if not self.jump_pending:
            raise ValueError("no jump is pending")
        self._segments.popleft()
        return self.read_position

    def checksum_hex(self) -> str:
        """Sum of the PCM placed since the gate opened (received and filled, queued or not), 32 hex digits.

        For each sample ``a += x; b += a``, both modulo 2^64; ``a`` then ``b``. All zeros without
        ``checksum``.
        """
        return "{:016x}{:016x}".format(*self._sums)


_live: WeakSet[Track] = WeakSet()


def live() -> int:
    """Tracks that exist in this process; the collector cannot tell of the compiled ones."""
    return len(_live)
