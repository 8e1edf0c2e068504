"""How long to wait after a failure: longer after each, and not all at the same moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with jitter.

    ``first`` and ``most`` are seconds; ``rand`` gives numbers in [0, 1). Half of a wait is fixed, so that it is never
    nothing; the other half is random, so that those who failed together do not come back together.
    """

    first: float = 1.0
    most: float = 60.0
    rand: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1 or more)."""
        # 2^20 seconds are twelve days; more would only overflow.
        whole = min(self.most, self.first * 2.0 ** min(failures - 1, 20))
        return whole * (0.5 + self.rand() / 2)
