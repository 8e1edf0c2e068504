"""When media sockets are read; no I/O, no clock of its own.

Sockets are read in *rounds*, each once. A round of many sockets is read in *slices* spread over the time until the next
one, so that requests of the API get their turn between them.

The period of the rounds follows what they cost:

* up to :data:`FEW_SOCKETS` sockets are read twice as often as is configured;
* more are read as often as is configured;
* if that would take more than :data:`EASY_SHARE` of a processor, less often, up to :data:`EASY_S`: messages that are
  read together cost less, and nobody hears the difference;
* if even that would take more than :data:`FULL_SHARE`, up to :data:`LONGEST_S`. What comes meanwhile waits in the
  kernel.

Beyond that a round takes as long as it takes: between two slices there is always a rest for everything else.
"""

from __future__ import annotations

__all__ = ["EASY_S", "EASY_SHARE", "FEW_SOCKETS", "FULL_SHARE", "LONGEST_S", "Rhythm"]

FEW_SOCKETS = 64
"""So few are read twice as often: 5 ms less for every transcript, and less than a hundredth of a core."""

EASY_SHARE = 0.1
EASY_S = 0.04
FULL_SHARE = 0.5
LONGEST_S = 0.1

WEIGHT = 0.2
"""Of the newest round in the average cost: one that met a burst changes little."""

REST_SHARE = 0.25
"""The rest after a slice, in parts of what it took: at most four fifths of the time go to reading."""


class Rhythm:
    """The times at which slices are due.

    Args:
        tick_s: the configured period, seconds.
    """

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self.period = tick_s
        """Between the begins of two rounds, seconds."""
        self.cost = 0.0
        """Processor seconds of a round, on average."""
        self._began = 0.0
        self._slices = 0
        self._expected = 1
        self._spent = 0.0
        self._warm = False

    def begin(self, now: float) -> None:
        """Sockets have come to a plane that had none: the first round begins now."""
        self._began = now
        self._slices = 0
        self._spent = 0.0

    def done(self, now: float, took: float, cost: float, sockets: int, *, over: bool) -> float:
        """A slice was read; when the next one is due.

        Args:
            now: the monotonic clock after it.
            took: wall time of the slice, seconds.
            cost: processor time of it, seconds.
            sockets: how many there are.
            over: whether it was the round's last.
        """
        self._slices += 1
        self._spent += cost
        rested = now + took * REST_SHARE
        if not over:
            if self._slices >= self._expected:
                return rested
            return max(self._began + self.period * self._slices / self._expected, rested)
        self.cost += (self._spent - self.cost) * (WEIGHT if self._warm else 1.0)
        self._warm = True
        self.period = self._period(sockets)
        # On a fixed grid; after a stall the grid begins anew rather than being caught up with.
        self._began = max(self._began + self.period, rested)
        self._expected, self._slices, self._spent = self._slices, 0, 0.0
        return self._began

    def _period(self, sockets: int) -> float:
        usual = self._tick_s / 2 if sockets <= FEW_SOCKETS else self._tick_s
        easy = min(self.cost / EASY_SHARE, EASY_S)
        full = min(self.cost / FULL_SHARE, LONGEST_S)
        return max(usual, easy, full)
