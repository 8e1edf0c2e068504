"""Sends the media of many calls, each in its own time: twin and specification of ``benchmarks.load.sender``.

The 20 ms of a frame are a wheel of 80 places. A line stands at one of them, the emptiest when it was added, so that the
messages of all lines leave evenly over the time and never in one burst. What a socket does not take is kept, at most
the messages of one turn; the line's later frames are made when it takes bytes again, late and counted so.

No clock and no waiting in here: :meth:`Sender.step` is told the time. A line may write to a function in place of a
socket, which is how TLS is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.load.voice import Script, Voice
from gateway.errors import UsageError
from gateway.peers.emitter import FRAME_MS

__all__ = ["DONE", "HAS_THREAD", "LATE_BINS", "LOST", "PLAYING", "STALLED", "Outcome", "Sender"]

HAS_THREAD = False
"""Whether there is a ``run`` that sends by itself, without the GIL."""

PLAYING, DONE, LOST, STALLED = range(4)
"""What became of a line: it plays, all is sent, its socket failed, or its socket took nothing for too long."""

SLOT_US = 250
SLOTS = FRAME_MS * 1000 // SLOT_US
STRIDE = 27
"""Places between one line and the next while all are equally empty; prime to their number."""

MAX_TOGETHER = 50
"""Frames of a write."""

LATE_BINS = 10_001
"""Of 0.1 ms each; the last one has all that was later than 1 s."""

CHUNK = 32 * 1024
"""A coalesced write is sent when it has so many bytes, or all that is due."""
TAIL = 64 * 1024
"""Bytes that are kept for a socket that takes none; control frames beyond that are left out."""


class Outcome(NamedTuple):
    """A line that was removed.

    ``messages`` were written whole; of ``tail_messages`` more the bytes ``tail`` are still to be written, if
    ``status`` is not LOST, before anything else. ``sequence`` was the last ``sequenceNumber``.
    """

    status: int
    errno: int
    messages: int
    sequence: int
    tail: bytes
    tail_messages: int


@dataclass(slots=True)
class _Line:
    voice: Voice
    write: Callable[[bytes], int]
    slot: int
    begin_us: int
    together: int
    messages: int = 0
    status: int = PLAYING
    errno: int = 0
    tail: bytearray = field(default_factory=bytearray)
    tail_messages: int = 0
    tail_due: int = -1
    """When the first of them was due; negative for control frames, which nobody waits for."""

    @property
    def due_us(self) -> int:
        sent, frames = self.voice.sent, self.voice.script.frames
        # What is written together is due with the last of it.
        last = min((sent // self.together + 1) * self.together, frames) - 1 if sent < frames else sent
        return self.begin_us + self.voice.due_of(last)


class Sender:
    """All lines of a run.

    Args:
        coalesced: write what is due of a line at once, and not each message by itself.
        together: frames of each track in a write, 1 to 50: more than one is planned to leave late, as from a line that
            delivers in bursts, and is coalesced.
        patience_us: a line whose socket has taken nothing for so long has stalled, and is given up.

    Raises:
        ValueError: ``patience_us`` is not positive, or ``together`` not 1 to 50.
    """

    def __init__(self, coalesced: bool = False, patience_us: int = 10_000_000, together: int = 1) -> None:
        if patience_us <= 0:
            raise ValueError(f"patience_us must be positive, not {patience_us}")
        if not 1 <= together <= MAX_TOGETHER:
            raise ValueError(f"together must be 1 to {MAX_TOGETHER}, not {together}")
        self._coalesced = coalesced or together > 1
        self._together = together
        self._patience_us = patience_us
        self._lines: dict[int, _Line] = {}
        self._wheel: list[list[int]] = [[] for _ in range(SLOTS)]
        self._next_id = 0
        self._last_slot = 0
        self._at = -1
        self._ended: list[int] = []
        self._late = np.zeros(LATE_BINS, np.int64)
        self.messages = 0
        """Messages written whole, of all lines."""

    @property
    def lateness(self) -> NDArray[np.int64]:
        """Messages by how late they left, in bins of 0.1 ms."""
        return self._late.copy()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, target: int | Callable[[bytes], int], script: Script, now_us: int) -> tuple[int, int]:
        """Play a script on a socket from its next place on the wheel on.

        Args:
            target: descriptor of a connected socket, which stays the caller's and must be open until the line is
                removed; or a function that takes bytes and tells how many.
            script: what is sent.
            now_us: monotonic clock.

        Returns:
            The line's number, and when its first frame is due.

        Raises:
            UsageError: a descriptor is negative.
        """
        if isinstance(target, int) and target < 0:
            raise UsageError(f"a descriptor is not negative: {target}")
        order = [(self._last_slot + STRIDE + step) % SLOTS for step in range(SLOTS)]
        slot = min(order, key=lambda place: len(self._wheel[place]))
        first = now_us // SLOT_US + 1
        begin = (first + (slot - first) % SLOTS) * SLOT_US
        number, self._next_id, self._last_slot = self._next_id, self._next_id + 1, slot
        write = _to(target) if isinstance(target, int) else target
        self._lines[number] = _Line(Voice(script), write, slot, begin, self._together)
        self._wheel[slot].append(number)
        return number, begin

    def control(self, number: int, data: bytes) -> None:
        """Send a control frame between two messages."""
        line = self._lines[number]
        if len(line.tail) + len(data) <= TAIL:
            line.tail += data
            line.tail_messages += 1

    def remove(self, number: int) -> Outcome:
        """Send nothing more on a line.

        Raises:
            KeyError: there is no such line.
        """
        line = self._lines.pop(number)
        self._wheel[line.slot].remove(number)
        tail = bytes(line.tail)
        return Outcome(line.status, line.errno, line.messages, line.voice.sequence, tail, line.tail_messages)

    def ended(self) -> list[tuple[int, int, int]]:
        """Lines that have come to an end since this was asked last: number, status, errno."""
        found = [(number, self._lines[number]) for number in self._ended if number in self._lines]
        self._ended.clear()
        return [(number, line.status, line.errno) for number, line in found]

    def step(self, now_us: int) -> int:
        """Send all that is due; when something may be due next."""
        last = now_us // SLOT_US
        # After a long wait one turn of the wheel sees every line, and each catches up by itself.
        at = max(self._at, last - SLOTS) if self._at >= 0 else last - SLOTS
        for place in range(at + 1, last + 1):
            for number in self._wheel[place % SLOTS]:
                self._play(number, self._lines[number], now_us)
        self._at = max(last, at)
        return (self._at + 1) * SLOT_US

    def _play(self, number: int, line: _Line, now_us: int) -> None:
        status = line.status
        if status in (LOST, STALLED):
            return
        if not line.tail or self._flush(line, now_us):
            self._play_due(line, now_us)
        if line.status == PLAYING:
            if line.tail and now_us - line.due_us > self._patience_us:
                line.status = STALLED
            elif not line.tail and line.voice.sent >= line.voice.script.frames:
                line.status = DONE
        if line.status != status:
            self._ended.append(number)

    def _play_due(self, line: _Line, now_us: int) -> None:
        together, count, since = bytearray(), 0, 0
        while line.status == PLAYING and not line.tail and line.voice.sent < line.voice.script.frames:
            due = line.due_us
            if due > now_us:
                break
            for data in line.voice.next():
                if not self._coalesced:
                    self._send(line, data, 1, due, now_us)
                    continue
                since = since if count else due
                together += data
                count += 1
            if len(together) >= CHUNK:
                self._send(line, bytes(together), count, since, now_us)
                together, count = bytearray(), 0
        if count:
            self._send(line, bytes(together), count, since, now_us)

    def _send(self, line: _Line, data: bytes, count: int, due_us: int, now_us: int) -> None:
        if line.status != PLAYING:
            return
        if line.tail:
            line.tail += data
            line.tail_messages += count
            return
        taken = self._write(line, data)
        if taken == len(data):
            self._count(line, count, due_us, now_us)
        elif line.status == PLAYING:
            line.tail[:] = data[taken:]
            line.tail_messages, line.tail_due = count, due_us

    def _flush(self, line: _Line, now_us: int) -> bool:
        del line.tail[: self._write(line, bytes(line.tail))]
        if line.tail or line.status == LOST:
            return False
        self._count(line, line.tail_messages, line.tail_due, now_us)
        line.tail_messages, line.tail_due = 0, -1
        return True

    def _write(self, line: _Line, data: bytes) -> int:
        try:
            return line.write(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            line.status, line.errno = LOST, error.errno or 0
            return 0

    def _count(self, line: _Line, count: int, due_us: int, now_us: int) -> None:
        line.messages += count
        self.messages += count
        if due_us >= 0:
            self._late[min(max(now_us - due_us, 0) // 100, LATE_BINS - 1)] += count


def _to(fd: int) -> Callable[[bytes], int]:
    return lambda data: os.write(fd, data)
