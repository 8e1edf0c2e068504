from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from gateway.server import tidy as module
from gateway.server.tidy import settle, tidy
from tests.harness import Customer, Twilio

CALLS = 5


@contextmanager
def looked() -> Iterator[list[int]]:
    """The generations that are collected."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    try:
        yield seen
    finally:
        gc.callbacks.remove(note)


@contextmanager
def circles() -> Iterator[Counter[str]]:
    """Objects of ours that only the collector could free, by type; known at the end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(type(one).__qualname__ for one in gc.garbage if "gateway" in type(one).__module__)
        found.update(type(one).__qualname__ for one in gc.garbage if "websockets.server" in type(one).__module__)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@asynccontextmanager
async def call(customer: Customer) -> AsyncIterator[Twilio]:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        assert (await customer.start(twilio.call_sid))[0] == 200
        await twilio.media(100)
        await twilio.settle()
        yield twilio


async def over(customer: Customer) -> None:
    async with asyncio.timeout(10):
        await customer.gateway.plane.emptied()
        while customer.gateway.registry._tasks:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("ending", ["stop", "close", "eof", "reset"])
async def test_a_call_that_ends_leaves_nothing_to_the_collector(customer: Customer, ending: str) -> None:
    async def one() -> None:
        async with call(customer) as twilio:
            if ending == "stop":
                await twilio.stop()
            if ending == "eof":
                twilio.socket.transport.write_eof()
            if ending == "reset":
                twilio.socket.transport.abort()
        await over(customer)

    await one()
    with circles() as found:
        for _ in range(CALLS):
            await one()
    assert found.total() < CALLS, found


async def test_a_request_that_is_refused_leaves_nothing_to_the_collector(customer: Customer) -> None:
    await customer.stop("CA" + "0" * 32)
    with circles() as found:
        for _ in range(CALLS):
            assert (await customer.stop("CA" + "0" * 32))[0] == 400
    assert found.total() < CALLS, found


def test_a_start_settles_what_it_has_made() -> None:
    before = gc.get_threshold()
    try:
        settle()
        assert gc.get_freeze_count() > 0
        with looked() as seen:
            kept = [[] for _ in range(3 * module.THRESHOLDS[0] * (module.THRESHOLDS[1] + 1))]  # type: ignore[var-annotated]  # any
        assert len(kept) > 0
        assert seen.count(0) > seen.count(1) > 0
        assert 2 not in seen
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.parametrize(("sockets", "rarely", "looks"), [(3, 1000.0, True), (5000, 1000.0, False), (5000, 0.0, True)])
async def test_everything_is_looked_at_when_there_is_little_or_rarely(
    monkeypatch: pytest.MonkeyPatch, sockets: int, rarely: float, looks: bool
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "RARELY_S", rarely)
    asked = asyncio.Semaphore(0)

    def count() -> int:
        asked.release()
        return sockets

    gc.disable()
    try:
        with looked() as seen:
            task = asyncio.create_task(tidy(count))
            async with asyncio.timeout(10):
                for _ in range(3):
                    await asked.acquire()
            task.cancel()
            await asyncio.wait({task})
    finally:
        gc.enable()
    assert (2 in seen) is looks
