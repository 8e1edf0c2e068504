"""The order of a call's utterances, sans I/O.

An utterance takes its number at its endpoint; its text comes when the recognizer has it. What is ready is released in
the order of the numbers. A missing one is waited for, then passed over; when it comes after that it goes alone,
marked late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.errors import InternalError

__all__ = ["WAIT_SECONDS", "Released", "Sequencer"]

T = TypeVar("T")

# How long a missing utterance holds up those after it (design, "Delivery").
WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Released(Generic[T]):
    """One item whose turn has come; ``late`` if it was passed over before."""

    sequence: int
    item: T
    late: bool


class Sequencer(Generic[T]):
    """Numbers from 0 on. Times are in seconds, of any clock that does not jump."""

    def __init__(self, wait: float = WAIT_SECONDS) -> None:
        self._wait = wait
        self._next = 0
        # The first number that was neither released nor passed over.
        self._head = 0
        # What is ready before its turn: (item, when it became ready).
        self._ready: dict[int, tuple[T | None, float]] = {}
        self._skipped: set[int] = set()

    @property
    def pending(self) -> int:
        """Numbers given out that were neither released nor passed over."""
        return self._next - self._head

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`expire` has something to do; None while nothing is held up."""
        if not self._ready:
            return None
        return min(ready_at for _, ready_at in self._ready.values()) + self._wait

    def next(self) -> int:
        """The number of the utterance that has just ended."""
        number = self._next
        self._next += 1
        return number

    def resolve(self, sequence: int, item: T | None, now: float) -> list[Released[T]]:
        """An utterance's result is there; None if nothing was said. What may go now, in order.

        Raises:
            InternalError: the number was never given out, or has its result already.
        """
        if sequence in self._skipped:
            self._skipped.discard(sequence)
            return [] if item is None else [Released(sequence, item, late=True)]
        if not self._head <= sequence < self._next or sequence in self._ready:
            msg = f"utterance {sequence} was never announced, or is resolved twice"
            raise InternalError(msg)
        self._ready[sequence] = (item, now)
        return self._release()

    def expire(self, now: float) -> list[Released[T]]:
        """Pass over what has been waited for long enough. What may go now, in order."""
        released: list[Released[T]] = []
        while (deadline := self.next_deadline) is not None and deadline <= now:
            while self._head not in self._ready:
                self._skipped.add(self._head)
                self._head += 1
            released += self._release()
        return released

    def _release(self) -> list[Released[T]]:
        released: list[Released[T]] = []
        while self._head in self._ready:
            item, _ = self._ready.pop(self._head)
            if item is not None:
                released.append(Released(self._head, item, late=False))
            self._head += 1
        return released
