"""Audio that a track may still need: appended at the end, dropped at the beginning, read from anywhere between.

What is read is not copied: a :class:`Stretch` shares the pieces, so that an utterance that waits for the recognizer is
in memory once, however many wait for it.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

__all__ = ["PIECE", "Kept", "Stretch"]

PIECE = 2048
"""Bytes of a piece: a quarter of a second of μ-law. A buffer that grows is copied to ever larger places and leaves
holes: with two people who speak for 20 s, 90 KiB of a call's 510."""


class Stretch:
    """Bytes that were kept, as they lie in their pieces; they stay as they are, whatever becomes of the :class:`Kept`.

    Args:
        pieces: of :data:`PIECE` bytes each, in which only bytes behind these may still be written.
        begin: where the bytes begin in the first piece.
        size: how many they are.
    """

    __slots__ = ("_begin", "_pieces", "_size")

    def __init__(self, pieces: tuple[bytearray, ...], begin: int, size: int) -> None:
        self._pieces = pieces
        self._begin = begin
        self._size = size

    @classmethod
    def of(cls, data: bytes) -> Stretch:
        """A copy of ``data``."""
        kept = Kept()
        kept.append(data)
        return kept.read(0, len(data))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        """A copy of the bytes."""
        found, at, left = [], self._begin, self._size
        for piece in self._pieces:
            found.append(memoryview(piece)[at : at + left])
            left -= PIECE - at
            at = 0
        return b"".join(found)

    def tail(self, count: int) -> Stretch:
        """The last ``count`` bytes, or all there are; it holds no pieces but theirs."""
        size = min(count, self._size)
        first, begin = divmod(self._begin + self._size - size, PIECE)
        return Stretch(self._pieces[first:] if size else (), begin, size)


class Kept:
    """Bytes in pieces of one size, which come and go with what they hold."""

    __slots__ = ("_begin", "_end", "_pieces")

    def __init__(self) -> None:
        # A stretch may share them: what was written is not written again.
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

    def read(self, first: int, last: int) -> Stretch:
        """The bytes ``first`` to ``last`` (exclusive), as far as there are any."""
        at, end = self._begin + max(first, 0), min(self._begin + last, self._end)
        if at >= end:
            return Stretch((), 0, 0)
        number, place = divmod(at, PIECE)
        pieces = tuple(islice(self._pieces, number, (end - 1) // PIECE + 1))
        return Stretch(pieces, place, end - at)
