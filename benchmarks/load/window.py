"""The time of a load when every call speaks: from the last one's first frame to the first one's last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

__all__ = ["Window"]

EARLY_SECONDS = 0.25
"""The second look is so long before the end: it takes its time, and should be over by then."""


class Window:
    """Looks at something when that time begins and just before it ends.

    Args:
        calls: how many must speak.
        seconds: how long each speaks.
        look: called at both ends; the second time only if the window was not closed before.
    """

    def __init__(self, calls: int, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        self._calls = calls
        self._seconds = seconds
        self._look = look
        self._begins: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def speaks(self, begin: float) -> None:
        """A call's first frame is due then (monotonic clock)."""
        self._begins.append(begin)
        if self.times is not None and self._task is None:
            self._task = asyncio.create_task(self._watch())

    @property
    def times(self) -> tuple[float, float] | None:
        """Begin and end; None if some call never spoke, or not while all others did."""
        if len(self._begins) < self._calls:
            return None
        begin, end = max(self._begins), min(self._begins) + self._seconds
        return (begin, end) if begin < end else None

    async def _watch(self) -> None:
        assert self.times is not None
        begin, end = self.times
        for moment in (begin, end - min(EARLY_SECONDS, (end - begin) / 4)):
            await asyncio.sleep(max(0.0, moment - time.monotonic()))
            await self._look()

    async def close(self) -> None:
        """No more looks: calls that failed may have ended before the window did."""
        if self._task is None:
            return
        if self.times is not None and time.monotonic() < self.times[1]:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
