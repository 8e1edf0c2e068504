"""Audio that a track may still need: appended at the end, dropped at the beginning, read from anywhere between."""

from __future__ import annotations

from collections import deque

__all__ = ["PIECE", "Kept"]

PIECE = 2048
"""Bytes of a piece: a quarter of a second of μ-law. A buffer that grows is copied to ever larger places and leaves
holes: with two people who speak for 20 s, 90 KiB of a call's 510."""


class Kept:
    """Bytes in pieces of one size, which come and go with what they hold."""

    __slots__ = ("_begin", "_end", "_pieces")

    def __init__(self) -> None:
        self._pieces: deque[bytearray] = deque()
        # Where what is kept begins in the first piece, and where it ends, counted from there on.
        self._begin = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._begin

    def append(self, data: bytes) -> None:
        """Keep more."""
        done = 0
        while done < len(data):
            place = self._end % PIECE
            if self._end == len(self._pieces) * PIECE:
                self._pieces.append(bytearray(PIECE))
            room = min(PIECE - place, len(data) - done)
            self._pieces[-1][place : place + room] = data[done : done + room]
            self._end += room
            done += room

    def drop(self, count: int) -> None:
        """Forget the first ``count`` bytes, or all there are."""
        self._begin += min(count, len(self))
        while self._pieces and self._begin >= PIECE:
            self._pieces.popleft()
            self._begin -= PIECE
            self._end -= PIECE
        if not len(self):
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self._begin = self._end = 0

    def read(self, first: int, last: int) -> bytes:
        """A copy of the bytes ``first`` to ``last`` (exclusive), as far as there are any."""
        at, end = self._begin + max(first, 0), min(self._begin + last, self._end)
        found = []
        while at < end:
            number, place = divmod(at, PIECE)
            size = min(PIECE - place, end - at)
            found.append(memoryview(self._pieces[number])[place : place + size])
            at += size
        return b"".join(found)
