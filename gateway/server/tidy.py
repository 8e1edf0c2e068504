"""When the garbage collector looks at everything: not in the middle of a storm.

A full collection holds the event loop for half a millisecond a thousand objects, with 3,000 calls a fifth of a second,
and Python begins one whenever the number of objects has grown by a quarter: several times while thousands connect. What
ends with a call or a request is in no circle of references and needs none (``tests/server/test_tidy.py``), so that they
are for what nobody foresaw.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

__all__ = ["FEW_SOCKETS", "LOOK_S", "RARELY_S", "settle", "tidy"]

THRESHOLDS = (2_000, 20, 1_000_000)
"""Objects made and not freed before the youngest are looked at; of those looks, before the next older ones are. The
oldest are left to :func:`tidy`."""

LOOK_S = 60.0
RARELY_S = 600.0
FEW_SOCKETS = 64
"""So few media sockets leave little to look through."""


def settle() -> None:
    """The start is over: what it has made stays, and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


async def tidy(sockets: Callable[[], int]) -> None:
    """Look at everything once a minute while there are few sockets, else every ten minutes; runs until cancelled."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.sleep(LOOK_S)
        if sockets() <= FEW_SOCKETS or loop.time() - last >= RARELY_S:
            gc.collect()
            last = loop.time()
