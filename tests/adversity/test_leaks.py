"""Calls that come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path

from gateway._native import plane as plane_kernel
from gateway._native import track as track_kernel
from gateway.calls.call import Stream
from gateway.calls.registry import Registry
from gateway.calls.transcription import Transcription
from gateway.server.connection import MediaConnection
from tests.harness import Customer, Twilio, gateway_running, settings_for

KINDS = (MediaConnection, Stream, Transcription, plane_kernel.Reader, track_kernel.Track)


def live() -> Counter[str]:
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, KINDS))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def cycle(customer: Customer, url: str, number: int) -> None:
    """A call that ends in one of the ways that calls end in."""
    async with Twilio.connected(url) as twilio:
        await twilio.settle()
        if number % 3:
            assert (await customer.start(twilio.call_sid))[0] == 200
        await twilio.media(100)
        await twilio.media(100, track="outbound")
        match number % 5:
            case 0:
                await twilio.stop()
            case 1:
                twilio.socket.transport.abort()
            case 2:
                await twilio.send(b"\x00")
                await twilio.start(["inbound"], {})
            case 3:
                async with Twilio.connected(url, twilio.call_sid) as newer:
                    await newer.settle()
            case _:
                pass


async def emptied(registry: Registry) -> None:
    while registry._tasks or registry._sockets:
        await asyncio.sleep(0)


async def test_300_calls_leave_nothing_behind(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url, registry = await customer.stream_url(), customer.gateway.registry
        plane = customer.gateway.plane
        for number in range(30):
            await cycle(customer, url, number)
        await emptied(registry)
        while len(plane):
            await asyncio.sleep(0)
        objects, files = live(), descriptors()
        for batch in range(30):
            await asyncio.gather(*(cycle(customer, url, 10 * batch + number) for number in range(10)))
        await emptied(registry)
        while len(plane):
            await asyncio.sleep(0)
        assert live() == objects
        # The client's pool of connections may have grown to the number of requests at once.
        assert descriptors() <= files + 2 * 10 + 4
        assert not registry._transcriptions
        assert not registry._awaited
        assert not registry._flushing
        assert not registry._partings
        assert not customer.gateway.registry._conversations._open
        assert registry.snapshots(customer.key.account_id) == []
