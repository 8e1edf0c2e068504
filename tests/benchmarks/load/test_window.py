"""The time when every call speaks begins with the last one and ends with the first."""

from __future__ import annotations

import asyncio
import time

from benchmarks.load.window import Window


def window(calls: int, seconds: float) -> tuple[Window, list[float]]:
    looks: list[float] = []

    async def look() -> None:
        looks.append(time.monotonic())

    return Window(calls, seconds, look), looks


async def test_both_ends_are_looked_at() -> None:
    one, looks = window(2, 0.2)
    now = time.monotonic()
    one.speaks(now)
    one.speaks(now + 0.1)
    assert one.times == (now + 0.1, now + 0.2)
    while len(looks) < 2:
        await asyncio.sleep(0.005)
    # A timer may fire a millisecond early.
    assert looks[0] >= now + 0.09
    assert looks[1] >= now + 0.16
    await one.close()
    assert len(looks) == 2


async def test_there_is_none_if_the_first_ends_before_the_last_begins() -> None:
    one, looks = window(2, 1.0)
    one.speaks(5.0)
    one.speaks(6.0)
    assert one.times is None
    await one.close()
    assert looks == []


async def test_a_run_that_ends_early_waits_for_no_window() -> None:
    one, looks = window(1, 3600.0)
    one.speaks(time.monotonic())
    while not looks:
        await asyncio.sleep(0)
    await one.close()
    assert len(looks) == 1
